package httpserver

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// This file contains the functions that turn a request target into the name of a
// file, those that encode a name or a target as a URI, and the check for names that
// have a special meaning on Windows.

// cleanPath returns the path of a request target, without authority and query. It
// decodes percent-encoded bytes once, resolves dot segments, and keeps a slash at
// the end. The result begins with a slash. ok is false if it would contain a NUL.
func cleanPath(target string) (clean string, ok bool) {
	decoded := unquote(targetPath(target))
	if strings.IndexByte(decoded, 0) >= 0 {
		return "", false
	}
	clean = path.Clean(cmp.Or(decoded, "/")) // targetPath returns "" if there is no path
	if strings.HasSuffix(decoded, "/") && clean != "/" {
		clean += "/"
	}
	return clean, true
}

// isHidden reports whether NoHidden hides a name.
func isHidden(name string) bool { return strings.HasPrefix(name, ".") && name != ".well-known" }

// hasHidden reports whether a cleaned path has a part that NoHidden hides.
func hasHidden(clean string) bool {
	return strings.Contains(clean, "/.") && slices.ContainsFunc(strings.Split(clean, "/"), isHidden)
}

// targetPath returns the path of a request target without decoding it. The path begins
// with a slash, which is added if necessary, or is "" if the target has none and is not in
// absolute form. In absolute form, several slashes at the beginning count as one.
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

// cutPath splits a request target after its path, which ends at a query or at a
// fragment. A client should not send a fragment, but some do.
func cutPath(target string) (path, rest string) {
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		return target[:i], target[i:]
	}
	return target, ""
}

// targetQuery returns the query of a request target without decoding it.
func targetQuery(target string) string {
	_, rest := cutPath(target)
	query, _, _ := strings.Cut(rest, "#")
	return strings.TrimPrefix(query, "?")
}

// unquote decodes percent-encoded bytes. It copies a percent sign that two
// hexadecimal digits do not follow.
func unquote(s string) string {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s
	}
	decoded := append(make([]byte, 0, len(s)), s[:i]...)
	for ; i < len(s); i++ {
		c := s[i]
		if c == '%' && i+2 < len(s) && hexBytes.containsAll(s[i+1:i+3]) {
			n, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			c = byte(n)
			i += 2
		}
		decoded = append(decoded, c)
	}
	return string(decoded)
}

var (
	nameBytes     = newByteSet(alnum + "_.-~/")                   // not encoded by Python's urllib.parse.quote
	locationBytes = newByteSet(alnum + "_.-~/:?#[]@!$&'()*+,;=%") // allowed in a URI (RFC 3986 section 2)
)

// quoteName percent-encodes a file name for use as a relative link.
func quoteName(name string) string { return string(appendPercentEncoded(nil, name, nameBytes)) }

// quoteTarget percent-encodes the bytes of a request target that are not allowed
// in a URI, such as backslashes and control characters.
func quoteTarget(target string) string {
	return string(appendPercentEncoded(nil, target, locationBytes))
}

// appendPercentEncoded appends s with all bytes percent-encoded that are not in keep.
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

// localPath joins a directory and a cleaned path. It returns "" if windows is true and an
// element of the path is not a plain file name on Windows.
func localPath(directory, clean string, windows bool) string {
	if windows && slices.ContainsFunc(strings.Split(clean, "/"), isSpecialOnWindows) {
		return ""
	}
	return strings.TrimSuffix(cmp.Or(directory, "."), "/") + clean
}

// isSpecialOnWindows reports whether s is not a plain file name on Windows: it contains a
// drive letter, stream name, separator or wildcard, has a dot or space at its end, which
// Windows would remove, or is the name of a device.
func isSpecialOnWindows(s string) bool {
	if strings.ContainsAny(s, "\\:*?\"<>|\t") || hasControl(s) || strings.TrimRight(s, ". ") != s {
		return true
	}
	stem, _, _ := strings.Cut(s, ".")
	stem = strings.ToUpper(strings.TrimRight(stem, " "))
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return true
	}
	digit, size := utf8.DecodeLastRuneInString(stem)
	port := stem[:len(stem)-size]
	return (port == "COM" || port == "LPT") && strings.ContainsRune("0123456789¹²³", digit)
}
