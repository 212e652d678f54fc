package httpserver

// What tests see of the inside.

var (
	Quote             = quote
	CleanPath         = cleanPath
	LocalPath         = localPath
	WindowsName       = windowsName
	QuoteName         = quoteName
	QuoteTarget       = quoteTarget
	ValidHost         = validHost
	ParseHTTPDate     = parseHTTPDate
	StatusTableLength = len(statuses)
)

func AppendEscaped(dst []byte, s string) []byte { return appendEscaped(dst, s) }

// ParseRequestLine gives the words of a request line, or the code of its error.
func ParseRequestLine(line string) (command, target, version string, code int) {
	r, err := parseRequestLine(line)
	if err != nil {
		code = err.code
	}
	return r.command, r.target, r.version, code
}

// ParseFields gives header fields, or the code of the error.
func ParseFields(block string) (Header, int) {
	fields, err := parseFields(nil, block)
	if err != nil {
		return nil, err.code
	}
	return fields, 0
}
