package httpserver

import (
	"slices"
	"strings"
)

// This file holds the directory page. Names, links, marks and order are those of
// Python's page.

// A listingEntry is one line of a listing.
type listingEntry struct {
	name      string
	dir, link bool // a link to a directory is both
}

// sortEntries puts names in order regardless of case.
func sortEntries(entries []listingEntry) {
	keys := make(map[string]string, len(entries))
	for _, e := range entries {
		keys[e.name] = strings.ToLower(e.name)
	}
	slices.SortFunc(entries, func(a, b listingEntry) int {
		if c := strings.Compare(keys[a.name], keys[b.name]); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
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
