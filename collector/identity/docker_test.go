package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// fakeDocker answers as dockerd 28 does, cut to what is read.
type fakeDocker struct{ events chan string }

func (f *fakeDocker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if strings.HasPrefix(path, "/v1.") {
		path = path[strings.Index(path[1:], "/")+1:]
	}
	w.Header().Set("Content-Type", "application/json")
	switch path {
	case "/_ping":
		w.Header().Set("Api-Version", "1.47")
		fmt.Fprint(w, "OK")
	case "/containers/json":
		fmt.Fprintf(w, `[{"Id":%q,"Names":["/other/alias","/web"],"Image":"nginx","Labels":{"a":"b"},
			"NetworkSettings":{"Networks":{"bridge":{"IPAddress":"172.17.0.2","GlobalIPv6Address":""}}}}]`, idA)
	case "/containers/" + idB + "/json":
		fmt.Fprintf(w, `{"Id":%q,"Name":"/db","State":{"Pid":42},"Config":{"Image":"mariadb","Labels":{"x":"y"}},
			"NetworkSettings":{"Networks":{"n1":{"IPAddress":"10.1.0.2","GlobalIPv6Address":"fd00::5"},"n2":{"IPAddress":"10.2.0.2"}}}}`, idB)
	case "/events":
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		for {
			select {
			case e, ok := <-f.events:
				if !ok {
					return
				}
				fmt.Fprintln(w, e)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"message":"No such container"}`)
	}
}

func TestDockerWatch(t *testing.T) {
	f := &fakeDocker{events: make(chan string, 10)}
	l, socket := listenUnix(t)
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: f}}
	srv.Start()
	defer srv.Close()
	rt, err := openDocker(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	s := &recorder{}
	broke, _ := watch(t, rt, s)
	eventually(t, 5*time.Second, "connected", s.isConnected)
	if c := s.get(idA); c.name != "web" || c.image != "nginx" || c.runtime != flow.RuntimeDocker || !reflect.DeepEqual(c.addrs, []netip.Addr{addr("172.17.0.2")}) {
		t.Errorf("listed: %+v", c)
	}

	f.events <- fmt.Sprintf(`{"Type":"container","Action":"create","Actor":{"ID":%q,"Attributes":{"name":"db","image":"mariadb","com.docker.compose.service":"db"}}}`, idB)
	eventually(t, 5*time.Second, "the create event", func() bool { return s.get(idB).name == "db" })
	if c := s.get(idB); c.trust != trustEvent || c.labels["com.docker.compose.service"] != "db" || c.labels["name"] != "" {
		t.Errorf("created: %+v", c)
	}
	f.events <- `{"Type":"container","Action":"exec_create: sh","Actor":{"ID":"x"}}`
	f.events <- `{"Type":"network","Action":"connect","Actor":{"ID":"net","Attributes":{"container":"gone"}}}`
	f.events <- fmt.Sprintf(`{"Type":"container","Action":"start","Actor":{"ID":%q}}`, idB)
	eventually(t, 5*time.Second, "the start event", func() bool { return s.get(idB).trust == trustAPI })
	if c := s.get(idB); c.pid != 42 || len(c.addrs) != 3 || c.labels["x"] != "y" {
		t.Errorf("started: %+v", c)
	}
	if err := rt.Lookup(t.Context(), strings.Repeat("0", 64), s); !errors.Is(err, errNotFound) {
		t.Errorf("an unknown container: %v, want errNotFound", err)
	}

	close(f.events) // dockerd goes away
	if err := broke(); err == nil {
		t.Error("Watch gives no error when the runtime goes away")
	}
}

func TestDockerEndsInOrder(t *testing.T) {
	f := &fakeDocker{events: make(chan string)}
	l, socket := listenUnix(t)
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: f}}
	srv.Start()
	defer srv.Close()
	rt := must(openPodman(socket))
	defer rt.Close()
	s := &recorder{}
	_, stop := watch(t, rt, s)
	eventually(t, 5*time.Second, "connected", s.isConnected)
	if c := s.get(idA); c.runtime != flow.RuntimePodman {
		t.Errorf("runtime = %v", c.runtime)
	}
	if err := stop(); err != nil {
		t.Errorf("Watch = %v at the end of its context, want nil", err)
	}
}

func TestDockerAbsent(t *testing.T) {
	rt := must(openDocker(t.TempDir() + "/none"))
	defer rt.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := rt.Watch(ctx, &recorder{}); err == nil || ctx.Err() != nil {
		t.Errorf("Watch = %v, want an error at once", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestDockerAnswersAreBounded(t *testing.T) {
	long := roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{Body: io.NopCloser(strings.NewReader(strings.Repeat("x", 1000)))}, nil
	})
	for path, want := range map[string]int{"/v1.41/containers/json": 100, "/v1.41/events": 1000} {
		res := must(boundedBodies{long, 100}.RoundTrip(httptest.NewRequest("GET", path, nil)))
		if b := must(io.ReadAll(res.Body)); len(b) != want {
			t.Errorf("%s: %d bytes, want %d", path, len(b), want)
		}
	}
}
