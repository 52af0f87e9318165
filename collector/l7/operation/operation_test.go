package operation

import "testing"

func TestOneOfMany(t *testing.T) {
	for segment, want := range map[string]bool{
		"": false, "0": true, "12345": true, "00000000000000000000000000000000000000000000000000000000000000000000001": true,
		"12345x": false, "-1": false, "1.5": false, "v1": false, "users": false,
		"deadbeef": false, "deadbee1": true, "DEADBEE1": true, "deadbe1": false, "deadbee1g": false, "0123456789abcdef0123456789abcdef01234567": true,
		"123e4567-e89b-12d3-a456-426614174000": true, "123E4567-E89B-12D3-A456-426614174000": true, "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee": true,
		"123e4567e-89b-12d3-a456-426614174000": false, "123e4567-e89b-12d3-a456-42661417400": false, "123e4567-e89b-12d3-a456-4266141740000": false,
		"123e4567-e89b-12d3-a456-42661417400g": false, "123e4567-e89b-12d3-a4560426614174000": false, "123e4567-e89b-12d3-a456-4266-4174000": false,
		"%31": false, "*": false,
	} {
		if got := OneOfMany(segment); got != want {
			t.Errorf("%q: %v, want %v", segment, got, want)
		}
	}
}

func TestKeyFollowsTheTemplate(t *testing.T) {
	for _, pair := range [][2]string{
		{"/users/1", "/users/23456"},
		{"/users/1/posts/deadbeef01", "/users/9/posts/123e4567-e89b-12d3-a456-426614174000"},
		{"/1", "/0123456789abcdef"},
	} {
		if Key("GET", pair[0]) != Key("GET", pair[1]) || Template(pair[0]) != Template(pair[1]) {
			t.Errorf("%q has another key than %q", pair[0], pair[1])
		}
	}
	seen := map[uint64]string{}
	for _, operation := range [][2]string{
		{"GET", "/"}, {"GET", "//"}, {"GET", "/a"}, {"GET", "/a/"}, {"GET", "/a//"}, {"GET", "//a"}, {"GET", "/A"}, {"GET", "/a/b"}, {"GET", "/b/a"}, {"GET", "/ab"},
		{"POST", "/a"}, {"HEAD", "/a"}, {"GET", "/1"}, {"GET", "/1/a"}, {"GET", "/a/1"}, {"GET", "/*"}, {"OPTIONS", "*"}, {"CONNECT", ""}, {"PROPFIND", "/a"},
		{"GET", "/users"}, {"GET", "/userz"}, {"GET", "/sers"}, {"GET", "/%61"}, {"GET", "/a.b"}, {"GET", "/a;b"},
	} {
		key, name := Key(operation[0], operation[1]), operation[0]+" "+operation[1]
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q have one key", name, other)
		}
		seen[key] = name
	}
	if Key("BASELINE-CONTROL", "/") != Key("BASELINE", "/") {
		t.Error("more than 8 bytes of a method count")
	}
}

func TestTemplate(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "": "", "*": "*", "/users/12/x": "/users/*/x", "/deadbeef1/": "/*/", "//7": "//*",
	} {
		if got := Template(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func BenchmarkKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Key("GET", "/api/v1/users/12345/posts")
	}
}
