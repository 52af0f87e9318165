package native

import "strings"

// HTTP1Heads are typical heads, to measure with.
var HTTP1Heads = []Stream{
	{Name: "wrk", Bytes: []byte("GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n")},
	{Name: "curl", Bytes: []byte("GET /api/v1/users/12345 HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n")},
	{Name: "browser", Bytes: []byte(strings.Join([]string{
		"GET /shop/items/8417?from=home HTTP/1.1", "Host: shop.example", "Connection: keep-alive",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Referer: http://shop.example/",
		"Accept-Encoding: gzip, deflate", "Accept-Language: en-US,en;q=0.9", "Cookie: session=0123456789abcdef", "", "",
	}, "\r\n"))},
	{Name: "post", Bytes: []byte("POST /orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 0\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n")},
	{Name: "nginx 200", Responses: true, Bytes: []byte("HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 17:43:00 GMT\r\nContent-Type: text/html\r\nContent-Length: 17\r\n" +
		"Last-Modified: Tue, 24 Nov 2026 17:38:00 GMT\r\nConnection: keep-alive\r\nETag: \"6565a4e8-11\"\r\nAccept-Ranges: bytes\r\n\r\n")},
}
