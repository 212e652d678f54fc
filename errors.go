package httpserver

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// This file contains the package's errors, the status codes with their reason
// phrases and explanations, and the page that SendError sends.

// ErrServerClosed is returned by [HTTPServer.ServeForever] and
// [HTTPServer.HandleRequest] after a call of [HTTPServer.Shutdown] or
// [HTTPServer.Close].
var ErrServerClosed = errors.New("httpserver: server closed")

var (
	errNoRequest = errors.New("httpserver: there is no body to read before " +
		"ReadRequestLine and ParseRequest have read a request")
	errHijacked   = errors.New("httpserver: the connection was hijacked")
	errHandedOver = errors.New("httpserver: what follows this response is read " +
		"from the reader of Hijack, not from RFile")
	errWithin     = errors.New("httpserver: a response began within another")
	errBadChunk   = errors.New("httpserver: malformed chunked body")
	errUnlisted   = errors.New("httpserver: the directory was not read")
	errClientGone = errors.New("httpserver: the client has gone")
)

// A PanicError is passed to HTTPServer.HandleError when a handler or a hook panics.
type PanicError struct {
	Value any    // the argument of panic
	Stack []byte // the stack trace of the goroutine, in the format of debug.Stack
}

// Error returns a message with the value of the panic but without the stack trace.
func (e *PanicError) Error() string {
	return fmt.Sprintf("httpserver: panic in a handler: %v", e.Value)
}

// Unwrap returns the value of the panic if it is an error, and nil otherwise.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// A statusError is the reason why a request was refused. Its fields are the
// arguments of SendError: an empty message or explain means the default text of
// the code.
type statusError struct {
	code             int
	message, explain string
}

// Error returns the code and the message.
func (e *statusError) Error() string {
	phrase, _, _ := StatusText(e.code)
	return fmt.Sprintf("httpserver: %d %s", e.code, cmp.Or(e.message, phrase))
}

// isAny reports whether err wraps one of the targets.
func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

// outOfResources reports whether err means that the system has run out of
// something, such as file descriptors or memory.
func outOfResources(err error) bool {
	return isAny(err, syscall.EMFILE, syscall.ENFILE, syscall.EAGAIN, syscall.ENOMEM)
}

// badRequest returns an error with code 400 whose message quotes the text that is
// wrong, as Python's messages do.
func badRequest(what, text string) *statusError {
	return &statusError{code: 400, message: what + " (" + quote(text) + ")"}
}

// StatusText returns the reason phrase of a status code (RFC 9110 section 15 and
// the IANA registry), a sentence that explains it, and whether the code is known.
// Python: BaseHTTPRequestHandler.responses.
func StatusText(code int) (phrase, explain string, ok bool) {
	if code < 0 || code >= len(statuses) {
		return "", "", false
	}
	s := &statuses[code]
	return s.phrase, s.explain, s.phrase != ""
}

// statuses contains the reason phrase and the explanation of each known code.
var statuses = [...]struct{ phrase, explain string }{
	100: {"Continue", "The request can go on; send its body"},
	101: {"Switching Protocols", "The connection changes to the protocol named in Upgrade"},
	102: {"Processing", "The request is being worked on"},
	103: {"Early Hints", "Header fields that the final response is likely to have"},

	200: {"OK", "The request succeeded"},
	201: {"Created", "A new resource was made; its address is given"},
	202: {"Accepted", "The request was taken and will be worked on later"},
	203: {"Non-Authoritative Information", "The content was changed on its way by a proxy"},
	204: {"No Content", "The request succeeded and there is nothing to send"},
	205: {"Reset Content", "The request succeeded; clear the form it came from"},
	206: {"Partial Content", "The part that was asked for follows"},
	207: {"Multi-Status", "Several answers follow, one for each resource"},
	208: {"Already Reported", "This member was listed earlier in the answer"},
	226: {"IM Used", "The answer is the outcome of transformations of the resource"},

	300: {"Multiple Choices", "The resource has several forms; choose one"},
	301: {"Moved Permanently", "The resource has a new address for good"},
	302: {"Found", "The resource is at another address for now"},
	303: {"See Other", "The answer is at another address; fetch it with GET"},
	304: {"Not Modified", "The copy of the client is still good"},
	305: {"Use Proxy", "The resource must be asked for through a proxy"},
	307: {"Temporary Redirect", "Repeat the request, unchanged, at another address for now"},
	308: {"Permanent Redirect", "Repeat the request, unchanged, at another address for good"},

	400: {"Bad Request", "The request does not follow the rules of HTTP"},
	401: {"Unauthorized", "Say who is asking; the schemes are given"},
	402: {"Payment Required", "The resource has to be paid for"},
	403: {"Forbidden", "The request was understood and is refused"},
	404: {"Not Found", "Nothing is known at this address"},
	405: {"Method Not Allowed", "This resource does not take this method"},
	406: {"Not Acceptable", "The resource has no form that the client accepts"},
	407: {"Proxy Authentication Required", "Say to the proxy who is asking"},
	408: {"Request Timeout", "The request took too long to arrive"},
	409: {"Conflict", "The request does not fit the state of the resource"},
	410: {"Gone", "The resource was removed for good"},
	411: {"Length Required", "The request must say how long its body is"},
	412: {"Precondition Failed", "A condition that the request made does not hold"},
	413: {"Content Too Large", "The body is larger than the server takes"},
	414: {"URI Too Long", "The request line is longer than the server takes"},
	415: {"Unsupported Media Type", "The body has a form that the resource does not take"},
	416: {"Range Not Satisfiable", "The resource does not have the range that was asked for"},
	417: {"Expectation Failed", "What the request expects cannot be met"},
	418: {"I'm a Teapot", "No coffee is brewed here"},
	421: {"Misdirected Request", "This server does not answer for that address"},
	422: {"Unprocessable Content", "The body is well-formed and makes no sense here"},
	423: {"Locked", "The resource is locked"},
	424: {"Failed Dependency", "A request that this one builds on has failed"},
	425: {"Too Early", "The request could be a replay"},
	426: {"Upgrade Required", "Another protocol, named in Upgrade, is needed"},
	428: {"Precondition Required", "The request must be conditional"},
	429: {"Too Many Requests", "The client asks too often"},
	431: {"Request Header Fields Too Large", "The header is larger than the server takes"},
	451: {"Unavailable For Legal Reasons", "The law forbids showing this resource"},

	500: {"Internal Server Error", "The server failed to do what was asked"},
	501: {"Not Implemented", "The server cannot do what was asked"},
	502: {"Bad Gateway", "The program behind the server gave no valid answer"},
	503: {"Service Unavailable", "The server has too much to do; try again later"},
	504: {"Gateway Timeout", "The program behind the server took too long"},
	505: {"HTTP Version Not Supported", "The server does not speak this version of HTTP"},
	506: {"Variant Also Negotiates", "The server's choice of forms goes in a circle"},
	507: {"Insufficient Storage", "There is no room for what was sent"},
	508: {"Loop Detected", "The request goes in a circle"},
	510: {"Not Extended", "The request needs an extension that it did not name"},
	511: {"Network Authentication Required", "The network wants to know who is asking"},
}

// DefaultErrorMessage is the format of the page that SendError sends unless
// ErrorMessageFormat is set. In a format %(code)d and %(code)s are replaced by the
// status code, %(message)s and %(explain)s by the HTML-escaped texts, and %% by a
// percent sign. Python: DEFAULT_ERROR_MESSAGE.
const DefaultErrorMessage = errorHTML

// errorHTML is a constant of its own so that go doc does not print the HTML.
const errorHTML = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Error %(code)d</title>
<style>` + baseStyle + `h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.4}
h1,p{padding:0 .5rem}
p{margin:.25rem 0;color:var(--soft)}
</style>
</head>
<body>
<h1>Error response</h1>
<p>Error code: %(code)d</p>
<p>Message: %(message)s.</p>
<p>Error code explanation: %(code)s - %(explain)s.</p>
</body>
</html>
`

// DefaultErrorContentType is the Content-Type of the page that SendError sends
// unless ErrorContentType is set. Python: DEFAULT_ERROR_CONTENT_TYPE.
const DefaultErrorContentType = "text/html;charset=utf-8"

// appendErrorPage appends an error page in the format of DefaultErrorMessage to
// dst. A percent sign that begins no known directive is copied as it is.
func appendErrorPage(dst []byte, format string, code int, message, explain string) []byte {
	for {
		text, rest, found := strings.Cut(format, "%")
		dst = append(dst, text...)
		if !found {
			return dst
		}
		switch format = rest; {
		case skip(&format, "(code)d"), skip(&format, "(code)s"):
			dst = strconv.AppendInt(dst, int64(code), 10)
		case skip(&format, "(message)s"):
			dst = append(dst, escapeHTML(message)...)
		case skip(&format, "(explain)s"):
			dst = append(dst, escapeHTML(explain)...)
		default:
			skip(&format, "%")
			dst = append(dst, '%')
		}
	}
}

// skip removes a prefix from s, and reports whether it was there.
func skip(s *string, prefix string) (found bool) {
	*s, found = strings.CutPrefix(*s, prefix)
	return found
}

// escapeHTML returns s escaped for HTML text. The result is not safe in an
// attribute, because quotes are not escaped.
func escapeHTML(s string) string { return htmlEscaper.Replace(s) }
