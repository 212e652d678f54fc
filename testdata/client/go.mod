module client

go 1.25

require httpserver v0.0.0

replace httpserver => ../..
