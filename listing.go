package httpserver

import "strings"

// This file holds the directory page. Names, links, marks and order are those of
// Python's page.

// A listingEntry is one line of a listing.
type listingEntry struct {
	name      string
	key       string // the name in lower case, which puts it in its place
	dir, link bool   // a link to a directory is both
}

// listingPage makes the page for a directory at the decoded path.
func listingPage(path string, entries []listingEntry) string {
	title := "Directory listing for " + escapeHTML(path)
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" +
		"<meta name=\"viewport\" content=\"width=device-width\">\n" +
		"<meta name=\"color-scheme\" content=\"light dark\">\n<title>" + title + "</title>\n" +
		"</head>\n<body>\n<h1>" + title + "</h1>\n<hr>\n<ul>\n")
	for _, e := range entries {
		link, shown := e.name, e.name
		if e.dir {
			link, shown = link+"/", shown+"/"
		}
		if e.link {
			shown = e.name + "@"
		}
		b.WriteString("<li><a href=\"" + quoteName(link) + "\">" + escapeHTML(shown) + "</a></li>\n")
	}
	b.WriteString("</ul>\n<hr>\n</body>\n</html>\n")
	return b.String()
}
