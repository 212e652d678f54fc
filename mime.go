package httpserver

import (
	"maps"
	"strings"
)

// This file contains the table of content types. The tables of the system are not
// used, so that a file has the same type on every machine.

// DefaultExtensionsMap returns a new copy of the map that is used if ExtensionsMap is nil,
// to which a program can add. It contains the suffixes of compressed files.
// Python: SimpleHTTPRequestHandler.extensions_map.
func DefaultExtensionsMap() map[string]string { return maps.Clone(defaultExtensions) }

var defaultExtensions = map[string]string{
	".gz":  "application/gzip",
	".Z":   "application/octet-stream",
	".bz2": "application/x-bzip2",
	".xz":  "application/x-xz",
}

// withCharset adds a charset to the content type of text or JavaScript. It returns other
// types, XML and JSON among them, and types that have a charset as they are.
func withCharset(contentType, charset string) string {
	if charset == "" {
		return contentType
	}
	mediaType, parameters, _ := strings.Cut(strings.ToLower(contentType), ";")
	isText := strings.HasPrefix(mediaType, "text/") || strings.HasSuffix(trimSpace(mediaType), "javascript")
	isData := strings.Contains(mediaType, "xml") || strings.Contains(mediaType, "json")
	if !isText || isData || strings.Contains(parameters, "charset=") {
		return contentType
	}
	return strings.TrimRight(contentType, "; \t") + "; charset=" + charset
}

// contentCoding returns the content coding of a file that has the given content type, or
// "" (RFC 9110 section 8.4). A compressed SVG image is sent as an image. The content
// type of other compressed files says how they are compressed, so that clients store them
// as they are.
func contentCoding(name, contentType string) string {
	if contentType == "image/svg+xml" && strings.HasSuffix(strings.ToLower(name), ".svgz") {
		return "gzip"
	}
	return ""
}

// contentTypes maps suffixes in lower case to content types. It is used
// for suffixes that ExtensionsMap does not contain.
var contentTypes = parseContentTypes(contentTypeTable)

// parseContentTypes parses lines that each consist of a content type and its suffixes.
func parseContentTypes(table string) map[string]string {
	types := make(map[string]string, 200)
	for line := range strings.Lines(table) {
		words := strings.Fields(line)
		for _, suffix := range words[1:] {
			types["."+suffix] = words[0]
		}
	}
	return types
}

const contentTypeTable = `application/ODA oda
application/atom+xml atom
application/dash+xml mpd
application/epub+zip epub
application/geo+json geojson
application/gpx+xml gpx
application/gzip tgz
application/java-archive jar
application/json json map
application/ld+json jsonld
application/manifest+json webmanifest
application/msword doc wiz
application/n-quads nq
application/n-triples nt
application/octet-stream a bin dll exe iso o obj so
application/ogg ogx
application/pdf pdf
application/pkcs12 p12 pfx
application/pkcs7-mime p7c
application/postscript ai eps ps
application/rdf+xml rdf
application/rss+xml rss
application/sql sql
application/toml toml
application/trig trig
application/vnd.adobe.flash.movie swf
application/vnd.android.package-archive apk
application/vnd.apple.mpegurl m3u m3u8
application/vnd.debian.binary-package deb
application/vnd.mif mif
application/vnd.ms-excel xlb xls
application/vnd.ms-fontobject eot
application/vnd.ms-powerpoint ppa pps ppt pwz
application/vnd.oasis.opendocument.graphics odg
application/vnd.oasis.opendocument.presentation odp
application/vnd.oasis.opendocument.spreadsheet ods
application/vnd.oasis.opendocument.text odt
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx
application/vnd.openxmlformats-officedocument.wordprocessingml.document docx
application/vnd.rar rar
application/wasm wasm
application/wsdl+xml wsdl
application/x-7z-compressed 7z
application/x-apple-diskimage dmg
application/x-bcpio bcpio
application/x-brotli br
application/x-bzip2 tbz2
application/x-cdf cdf
application/x-cpio cpio
application/x-dvi dvi
application/x-gtar gtar
application/x-hdf hdf
application/x-hdf5 h5
application/x-latex latex
application/x-netcdf nc
application/x-pn-realaudio ram
application/x-python-code pyc pyo
application/x-rpm rpm
application/x-sh sh
application/x-shar shar
application/x-sv4cpio sv4cpio
application/x-sv4crc sv4crc
application/x-tar tar
application/x-texinfo texi texinfo
application/x-troff-man man
application/x-troff-me me
application/x-troff-ms ms
application/x-ustar ustar
application/x-wais-source src
application/x-x509-ca-cert crt
application/x-xz txz
application/xhtml+xml xht xhtml
application/xml xpdl xsl
application/yaml yaml yml
application/zip whl zip
application/zstd zst
audio/3gpp 3gp 3gpp
audio/3gpp2 3g2 3gpp2
audio/aac aac adts ass
audio/basic au snd
audio/flac flac
audio/matroska mka
audio/midi mid midi
audio/mp4 m4a
audio/mpeg mp2 mp3
audio/ogg oga ogg opus
audio/usac loas
audio/webm weba
audio/x-aiff aif aifc aiff
audio/x-pn-realaudio ra
audio/x-wav wav
font/collection ttc
font/otf otf
font/ttf ttf
font/woff woff
font/woff2 woff2
image/apng apng
image/avif avif
image/bmp bmp
image/gif gif
image/heic heic
image/heif heif
image/ief ief
image/jp2 jp2
image/jpeg jpe jpeg jpg
image/jxl jxl
image/png png
image/svg+xml svg svgz
image/tiff tif tiff
image/vnd.microsoft.icon ico
image/webp webp
image/x-cmu-raster ras
image/x-portable-anymap pnm
image/x-portable-bitmap pbm
image/x-portable-graymap pgm
image/x-portable-pixmap ppm
image/x-rgb rgb
image/x-xbitmap xbm
image/x-xpixmap xpm
image/x-xwindowdump xwd
message/rfc822 eml mht mhtml nws
model/gltf+json gltf
model/gltf-binary glb
model/stl stl
text/SGML sgm sgml
text/cache-manifest appcache
text/calendar ics
text/css css
text/csv csv
text/html htm html
text/javascript cjs js mjs
text/markdown markdown md
text/n3 n3
text/plain bat c conf go h ini ksh log pl pot rs srt txt
text/richtext rtx
text/rtf rtf
text/tab-separated-values tsv
text/troff roff t tr
text/vcard vcf
text/vnd.graphviz dot
text/vtt vtt
text/x-csh csh
text/x-python py
text/x-rst rst
text/x-setext etx
text/x-tcl tcl
text/x-tex tex
text/xml xml xsd
video/matroska mkv
video/mp2t ts
video/mp4 m4v mp4
video/mpeg m1v mpa mpe mpeg mpg
video/ogg ogv
video/quicktime mov qt
video/webm webm
video/x-ms-wmv wmv
video/x-msvideo avi
video/x-sgi-movie movie`
