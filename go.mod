module httpserver

go 1.25
