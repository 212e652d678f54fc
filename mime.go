package httpserver

import (
	"maps"
	"strings"
)

// This file contains the table of content types. The tables of the system are not
// used, so that a file has the same type on every machine.

// DefaultExtensionsMap returns a new copy of the map that is used if ExtensionsMap
// is nil. It contains the suffixes of compressed files.
// Python: SimpleHTTPRequestHandler.extensions_map.
func DefaultExtensionsMap() map[string]string { return maps.Clone(defaultExtensions) }

var defaultExtensions = map[string]string{
	".gz":  "application/gzip",
	".Z":   "application/octet-stream",
	".bz2": "application/x-bzip2",
	".xz":  "application/x-xz",
}

// withCharset returns a content type with a charset, if that is not "", the type is text
// or JavaScript, and it has none.
func withCharset(contentType, charset string) string {
	if charset == "" {
		return contentType
	}
	mediaType, parameters, _ := strings.Cut(contentType, ";")
	kind, subtype, _ := strings.Cut(strings.ToLower(trimSpace(mediaType)), "/")
	switch subtype {
	case "javascript", "x-javascript", "ecmascript":
	case "xml", "xml-external-parsed-entity", "json":
		return contentType
	default:
		if kind != "text" || strings.HasSuffix(subtype, "+xml") || strings.HasSuffix(subtype, "+json") {
			return contentType
		}
	}
	for parameter := range strings.SplitSeq(parameters, ";") {
		if name, _, _ := strings.Cut(parameter, "="); equalFold(trimSpace(name), "charset") {
			return contentType
		}
	}
	return strings.TrimRight(contentType, "; \t") + "; charset=" + charset
}

// contentCoding returns the content coding of a file that has the given content type, or
// "" (RFC 9110 section 8.4). Other compressed files have the type of what they are, so
// that clients store them as they are. A .svgz has no such type.
func contentCoding(name, contentType string) string {
	if contentType == "image/svg+xml" && len(name) > len(".svgz") && equalFold(name[len(name)-len(".svgz"):], ".svgz") {
		return "gzip"
	}
	return ""
}

// contentTypes maps suffixes in lower case to content types. It is used for
// suffixes that ExtensionsMap does not contain.
var contentTypes = map[string]string{
	".3g2":         "audio/3gpp2",
	".3gp":         "audio/3gpp",
	".3gpp":        "audio/3gpp",
	".3gpp2":       "audio/3gpp2",
	".7z":          "application/x-7z-compressed",
	".aac":         "audio/aac",
	".adts":        "audio/aac",
	".ai":          "application/postscript",
	".aif":         "audio/x-aiff",
	".aifc":        "audio/x-aiff",
	".aiff":        "audio/x-aiff",
	".apk":         "application/vnd.android.package-archive",
	".apng":        "image/apng",
	".appcache":    "text/cache-manifest",
	".ass":         "audio/aac",
	".atom":        "application/atom+xml",
	".au":          "audio/basic",
	".avi":         "video/x-msvideo",
	".avif":        "image/avif",
	".bat":         "text/plain",
	".bcpio":       "application/x-bcpio",
	".bin":         "application/octet-stream",
	".bmp":         "image/bmp",
	".br":          "application/x-brotli",
	".c":           "text/plain",
	".cdf":         "application/x-cdf",
	".cjs":         "text/javascript",
	".conf":        "text/plain",
	".cpio":        "application/x-cpio",
	".crt":         "application/x-x509-ca-cert",
	".csh":         "text/x-csh",
	".css":         "text/css",
	".csv":         "text/csv",
	".deb":         "application/vnd.debian.binary-package",
	".dmg":         "application/x-apple-diskimage",
	".doc":         "application/msword",
	".docx":        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".dot":         "text/vnd.graphviz",
	".dvi":         "application/x-dvi",
	".eml":         "message/rfc822",
	".eot":         "application/vnd.ms-fontobject",
	".eps":         "application/postscript",
	".epub":        "application/epub+zip",
	".etx":         "text/x-setext",
	".exe":         "application/octet-stream",
	".flac":        "audio/flac",
	".geojson":     "application/geo+json",
	".gif":         "image/gif",
	".glb":         "model/gltf-binary",
	".gltf":        "model/gltf+json",
	".go":          "text/plain",
	".gpx":         "application/gpx+xml",
	".gtar":        "application/x-gtar",
	".h":           "text/plain",
	".h5":          "application/x-hdf5",
	".hdf":         "application/x-hdf",
	".heic":        "image/heic",
	".heif":        "image/heif",
	".htm":         "text/html",
	".html":        "text/html",
	".ico":         "image/vnd.microsoft.icon",
	".ics":         "text/calendar",
	".ief":         "image/ief",
	".ini":         "text/plain",
	".iso":         "application/octet-stream",
	".jar":         "application/java-archive",
	".jpe":         "image/jpeg",
	".jpeg":        "image/jpeg",
	".jpg":         "image/jpeg",
	".js":          "text/javascript",
	".json":        "application/json",
	".jsonld":      "application/ld+json",
	".jxl":         "image/jxl",
	".ksh":         "text/plain",
	".latex":       "application/x-latex",
	".loas":        "audio/usac",
	".log":         "text/plain",
	".m1v":         "video/mpeg",
	".m3u":         "application/vnd.apple.mpegurl",
	".m3u8":        "application/vnd.apple.mpegurl",
	".m4a":         "audio/mp4",
	".m4v":         "video/mp4",
	".man":         "application/x-troff-man",
	".map":         "application/json",
	".markdown":    "text/markdown",
	".md":          "text/markdown",
	".me":          "application/x-troff-me",
	".mht":         "message/rfc822",
	".mhtml":       "message/rfc822",
	".mid":         "audio/midi",
	".midi":        "audio/midi",
	".mif":         "application/vnd.mif",
	".mjs":         "text/javascript",
	".mkv":         "video/matroska",
	".mov":         "video/quicktime",
	".movie":       "video/x-sgi-movie",
	".mp2":         "audio/mpeg",
	".mp3":         "audio/mpeg",
	".mp4":         "video/mp4",
	".mpa":         "video/mpeg",
	".mpd":         "application/dash+xml",
	".mpe":         "video/mpeg",
	".mpeg":        "video/mpeg",
	".mpg":         "video/mpeg",
	".ms":          "application/x-troff-ms",
	".n3":          "text/n3",
	".nc":          "application/x-netcdf",
	".nq":          "application/n-quads",
	".nt":          "application/n-triples",
	".nws":         "message/rfc822",
	".oda":         "application/ODA",
	".odp":         "application/vnd.oasis.opendocument.presentation",
	".ods":         "application/vnd.oasis.opendocument.spreadsheet",
	".odt":         "application/vnd.oasis.opendocument.text",
	".oga":         "audio/ogg",
	".ogg":         "audio/ogg",
	".ogv":         "video/ogg",
	".opus":        "audio/ogg",
	".otf":         "font/otf",
	".p12":         "application/pkcs12",
	".p7c":         "application/pkcs7-mime",
	".pbm":         "image/x-portable-bitmap",
	".pdf":         "application/pdf",
	".pfx":         "application/pkcs12",
	".pgm":         "image/x-portable-graymap",
	".pl":          "text/plain",
	".png":         "image/png",
	".pnm":         "image/x-portable-anymap",
	".pot":         "text/plain",
	".ppa":         "application/vnd.ms-powerpoint",
	".ppm":         "image/x-portable-pixmap",
	".pps":         "application/vnd.ms-powerpoint",
	".ppt":         "application/vnd.ms-powerpoint",
	".pptx":        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	".ps":          "application/postscript",
	".py":          "text/x-python",
	".pyc":         "application/x-python-code",
	".pyo":         "application/x-python-code",
	".qt":          "video/quicktime",
	".rar":         "application/vnd.rar",
	".ras":         "image/x-cmu-raster",
	".rdf":         "application/rdf+xml",
	".rgb":         "image/x-rgb",
	".roff":        "text/troff",
	".rs":          "text/plain",
	".rss":         "application/rss+xml",
	".rst":         "text/x-rst",
	".rtf":         "text/rtf",
	".sgm":         "text/SGML",
	".sgml":        "text/SGML",
	".sh":          "application/x-sh",
	".shar":        "application/x-shar",
	".snd":         "audio/basic",
	".so":          "application/octet-stream",
	".sql":         "application/sql",
	".src":         "application/x-wais-source",
	".srt":         "text/plain",
	".sv4cpio":     "application/x-sv4cpio",
	".sv4crc":      "application/x-sv4crc",
	".svg":         "image/svg+xml",
	".svgz":        "image/svg+xml", // see contentCoding
	".swf":         "application/vnd.adobe.flash.movie",
	".t":           "text/troff",
	".tar":         "application/x-tar",
	".tcl":         "text/x-tcl",
	".tex":         "text/x-tex",
	".texi":        "application/x-texinfo",
	".texinfo":     "application/x-texinfo",
	".tgz":         "application/gzip",
	".tif":         "image/tiff",
	".tiff":        "image/tiff",
	".toml":        "application/toml",
	".tr":          "text/troff",
	".trig":        "application/trig",
	".ts":          "video/mp2t",
	".tsv":         "text/tab-separated-values",
	".ttc":         "font/collection",
	".ttf":         "font/ttf",
	".txt":         "text/plain",
	".ustar":       "application/x-ustar",
	".vcf":         "text/vcard",
	".vtt":         "text/vtt",
	".wasm":        "application/wasm",
	".wav":         "audio/x-wav",
	".weba":        "audio/webm",
	".webm":        "video/webm",
	".webmanifest": "application/manifest+json",
	".webp":        "image/webp",
	".whl":         "application/zip",
	".wiz":         "application/msword",
	".woff":        "font/woff",
	".woff2":       "font/woff2",
	".wsdl":        "application/wsdl+xml",
	".xbm":         "image/x-xbitmap",
	".xht":         "application/xhtml+xml",
	".xhtml":       "application/xhtml+xml",
	".xlb":         "application/vnd.ms-excel",
	".xls":         "application/vnd.ms-excel",
	".xlsx":        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	".xml":         "text/xml",
	".xpdl":        "application/xml",
	".xpm":         "image/x-xpixmap",
	".xsd":         "text/xml",
	".xsl":         "application/xml",
	".xwd":         "image/x-xwindowdump",
	".yaml":        "application/yaml",
	".yml":         "application/yaml",
	".zip":         "application/zip",
	".zst":         "application/zstd",
}
