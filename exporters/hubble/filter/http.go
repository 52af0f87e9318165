package filter

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// eventL7 is Cilium's event type of layer 7 flows.
const eventL7 = 129

// httpField is the match of one HTTP field of a filter. Hubble refuses such a
// field beside event types that no HTTP flow has; so do we.
func httpField[T any](ff *flowpb.FlowFilter, list []T, build func([]T) (func(*flowpb.HTTP) bool, error)) (Match, error) {
	if len(list) == 0 {
		return nil, nil
	}
	l7 := func(t *flowpb.EventTypeFilter) bool { return t.GetType() == eventL7 }
	if len(ff.GetEventType()) > 0 && !slices.ContainsFunc(ff.GetEventType(), l7) {
		return nil, errors.New("needs event type l7, or none")
	}
	m, err := build(list)
	if err != nil {
		return nil, err
	}
	return func(f *flowpb.Flow) bool {
		h := f.GetL7().GetHttp()
		return h != nil && m(h)
	}, nil
}

// httpStatus takes whole codes and prefixes: "404", "5+", "40+".
func httpStatus(list []string) (func(*flowpb.HTTP) bool, error) {
	form := regexp.MustCompile(`^(?:[1-5][0-9]{2}|[1-5][0-9]?\+)$`)
	for _, s := range list {
		if !form.MatchString(s) {
			return nil, fmt.Errorf("%q is no status code; write 404, 40+ or 4+", s)
		}
	}
	return func(h *flowpb.HTTP) bool {
		code := strconv.Itoa(int(h.GetCode()))
		return h.GetCode() != 0 && slices.ContainsFunc(list, func(s string) bool {
			prefix, open := strings.CutSuffix(s, "+")
			return code == s || open && len(code) == 3 && strings.HasPrefix(code, prefix)
		})
	}, nil
}

func httpMethod(list []string) (func(*flowpb.HTTP) bool, error) {
	return func(h *flowpb.HTTP) bool {
		return h.GetMethod() != "" && slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, h.GetMethod()) })
	}, nil
}

func httpPath(list []string) (func(*flowpb.HTTP) bool, error) {
	res, err := expressions(list)
	return func(h *flowpb.HTTP) bool {
		u, err := url.ParseRequestURI(h.GetUrl())
		return err == nil && matchAny(res, u.Path)
	}, err
}

func httpURL(list []string) (func(*flowpb.HTTP) bool, error) {
	res, err := expressions(list)
	return func(h *flowpb.HTTP) bool { return h.GetUrl() != "" && matchAny(res, h.GetUrl()) }, err
}
