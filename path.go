package httpserver

import (
	"path"
	"strings"
)

// This file holds the way from a request target to a path: one decoded, cleaned
// form that decides everything, and the names that Windows gives a meaning.

// cleanPath gives the path of a request target: without authority and query,
// percent-decoded once, dot segments resolved, rooted, with a slash at its end
// if the target's path has one there. It is not ok with a NUL.
func cleanPath(target string) (clean string, ok bool) {
	raw := targetPath(target)
	if raw != "" && !strings.Contains(raw, "%") && !strings.Contains(raw, "//") && !strings.Contains(raw, "/.") {
		return raw, strings.IndexByte(raw, 0) < 0 // most are clean
	}
	decoded := unquote(raw)
	if strings.IndexByte(decoded, 0) >= 0 {
		return "", false
	}
	clean = path.Clean("/" + decoded)
	if strings.HasSuffix(raw, "/") && clean != "/" {
		clean += "/"
	}
	return clean, true
}

// targetPath cuts the path out of a request target, as it was sent.
func targetPath(target string) string {
	target, _ = cutPath(target)
	if target == "" || target[0] == '/' {
		return target
	}
	if _, rest, ok := splitAbsolute(target); ok {
		return "/" + strings.TrimLeft(rest, "/")
	}
	return "/" + target
}

// cutPath cuts a target where its path ends: at its query or at a fragment,
// which no client should send.
func cutPath(target string) (path, rest string) {
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		return target[:i], target[i:]
	}
	return target, ""
}

// targetQuery cuts the query out of a request target, as it was sent.
func targetQuery(target string) string {
	_, rest := cutPath(target)
	query, _, _ := strings.Cut(rest, "#")
	return strings.TrimPrefix(query, "?")
}

// unquote decodes %XX once. What is no such sequence stays.
func unquote(s string) string {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s
	}
	decoded := append(make([]byte, 0, len(s)), s[:i]...)
	for ; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && hexBytes.hold(s[i+1:i+3]) {
			decoded = append(decoded, fromHex(s[i+1])<<4|fromHex(s[i+2]))
			i += 2
		} else {
			decoded = append(decoded, s[i])
		}
	}
	return string(decoded)
}

// fromHex returns the value of a hexadecimal digit.
func fromHex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

var (
	nameBytes     = newByteSet(alnum + "_.-~/")                   // what Python's quote leaves as it is
	locationBytes = newByteSet(alnum + "_.-~/:?#[]@!$&'()*+,;=%") // what a URI may hold, RFC 3986
)

// quoteName writes a file name as a relative link.
func quoteName(name string) string { return percentEncode(name, nameBytes) }

// quoteTarget writes a request target as a URI: what may not stand in one, such
// as a backslash or a control, is percent-encoded.
func quoteTarget(target string) string { return percentEncode(target, locationBytes) }

func percentEncode(s string, keep *byteSet) string {
	return string(appendPercentEncoded(make([]byte, 0, len(s)+8), s, keep))
}

func appendPercentEncoded(dst []byte, s string, keep *byteSet) []byte {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		if c := s[i]; keep[c] {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

// localPath puts a cleaned path below a directory. It is not ok where a part of
// the path would be more than a name to the system.
func localPath(directory, clean string, windows bool) (name string, ok bool) {
	if windows {
		for part := range strings.SplitSeq(clean, "/") {
			if !windowsName(part) {
				return "", false
			}
		}
	}
	if directory == "" {
		directory = "."
	}
	return strings.TrimSuffix(directory, "/") + clean, true
}

// windowsName tells whether Windows takes s as the name of a file in a folder
// and as nothing else: no drive letter, stream, separator or wildcard, no end
// that it would cut off, and no device.
func windowsName(s string) bool {
	if strings.ContainsAny(s, `\:*?"<>|`) || hasControl(s) || strings.IndexByte(s, '\t') >= 0 {
		return false
	}
	if strings.HasSuffix(s, ".") || strings.HasSuffix(s, " ") {
		return false
	}
	stem, _, _ := strings.Cut(s, ".")
	stem = strings.ToUpper(strings.TrimRight(stem, " "))
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return false
	}
	port, isPort := strings.CutPrefix(stem, "COM")
	if !isPort {
		port, isPort = strings.CutPrefix(stem, "LPT")
	}
	return !isPort || !(len(port) == 1 && digitBytes.hold(port) || port == "¹" || port == "²" || port == "³")
}
