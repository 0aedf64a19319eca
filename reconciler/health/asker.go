package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/cluster"
)

// Answer is what a worker says of its camera.
type Answer struct {
	State   string    `json:"state"` // an archive.State, or failed
	Since   time.Time `json:"since"`
	Message string    `json:"message"`
	Reason  string    `json:"reason"` // why the worker itself is not well
	// Err is why there is no answer.
	Err string `json:"-"`
}

// Asker asks the workers of Pods that run and are not ready how their cameras
// are: each at most once in Every, a few at a time, at the address that the API
// server has of the Pod. Workers that are ready are never asked. The zero value
// is fit for use.
type Asker struct {
	// Every is how often a worker is asked; 0 means 10 s.
	Every time.Duration
	// Parallel is how many are asked at a time; 0 means 16.
	Parallel int
	// Port is where workers answer; 0 means 9090. It serves no video, and
	// NetworkPolicies let anybody ask it.
	Port int
	// Changed, if set, is called after a round whose answers were new.
	Changed func()
	// Transport is for tests; nil means one without proxies.
	Transport http.RoundTripper

	mu      sync.Mutex
	answers map[object.ID]Answer
}

const (
	defaultAskEvery    = 10 * time.Second
	defaultAskParallel = 16
	defaultAskPort     = 9090
	askTimeout         = 2 * time.Second
	maxAnswer          = 64 << 10
)

// Answers are what is known, by Pod.
func (a *Asker) Answers() map[object.ID]Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.answers)
}

// Run asks, round after round, until ctx ends.
func (a *Asker) Run(ctx context.Context, observe func() cluster.Observation) error {
	every := a.Every
	if every <= 0 {
		every = defaultAskEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil { // of a tick and an end at once, select takes either
		a.Ask(ctx, observe().Pods)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// Ask asks those that there is something to ask one time. What is known of
// others is forgotten.
func (a *Asker) Ask(ctx context.Context, pods []cluster.Pod) {
	client := &http.Client{
		Timeout: askTimeout, Transport: a.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("it answers with another address") },
	}
	if client.Transport == nil {
		transport := &http.Transport{DialContext: (&net.Dialer{Timeout: askTimeout}).DialContext, DisableKeepAlives: true}
		client.Transport = transport
	}
	var group errgroup.Group
	group.SetLimit(defaultAskParallel)
	if a.Parallel > 0 {
		group.SetLimit(a.Parallel)
	}
	var mu sync.Mutex
	answers := map[object.ID]Answer{}
	for _, p := range pods {
		if !askable(p) {
			continue
		}
		group.Go(func() error {
			answer := a.ask(ctx, client, p)
			mu.Lock()
			defer mu.Unlock()
			answers[p.ID] = answer
			return nil
		})
	}
	_ = group.Wait() // no error is returned
	if ctx.Err() != nil {
		return
	}
	a.mu.Lock()
	same := maps.Equal(a.answers, answers)
	a.answers = answers
	a.mu.Unlock()
	if !same && a.Changed != nil {
		a.Changed()
	}
}

// askable tells whether the worker of a Pod can be asked, and has not said all
// there is by being ready.
func askable(p cluster.Pod) bool {
	return p.Role == object.RoleCamera && !p.Ready && p.Phase == string(corev1.PodRunning) && p.Ending.IsZero() && p.NodeGone.IsZero() && p.IP != ""
}

func (a *Asker) ask(ctx context.Context, client *http.Client, p cluster.Pod) Answer {
	answer, err := a.get(ctx, client, p)
	if err != nil {
		var address *url.Error
		if errors.As(err, &address) {
			err = address.Err // its own words; the address is the Pod's
		}
		return Answer{Err: bounded(err.Error())}
	}
	return answer
}

func (a *Asker) get(ctx context.Context, client *http.Client, p cluster.Pod) (Answer, error) {
	ip, err := netip.ParseAddr(p.IP)
	if err != nil {
		return Answer{}, fmt.Errorf("%q is not an address", p.IP)
	}
	// No Pod has such an address: whoever forges a Pod's status makes nobody ask around.
	if ip = ip.Unmap(); ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || ip.Zone() != "" {
		return Answer{}, fmt.Errorf("%s is not the address of a Pod", ip)
	}
	port := a.Port
	if port == 0 {
		port = defaultAskPort
	}
	address := "http://" + net.JoinHostPort(ip.String(), strconv.Itoa(port)) + "/healthz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Answer{}, fmt.Errorf("asking: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	return read(resp, p)
}

// read finds the camera in what a worker says of all of its own.
func read(resp *http.Response, p cluster.Pod) (Answer, error) {
	var body struct {
		Cameras []struct {
			Site   string `json:"site"`
			Camera string `json:"camera"`
			Answer
		} `json:"cameras"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&body); err != nil {
		return Answer{}, fmt.Errorf("it answers %s and no JSON", resp.Status)
	}
	for _, c := range body.Cameras {
		if c.Site == p.Site && c.Camera == p.Camera {
			c.State, c.Since, c.Message, c.Reason = bounded(c.State), c.Since.UTC(), bounded(c.Message), bounded(c.Reason)
			return c.Answer, nil
		}
	}
	return Answer{}, errors.New("it has not read its configuration yet")
}

// bounded is as much of a worker's words as is passed on, without what could
// play tricks on a terminal: whoever takes a worker over can say anything.
func bounded(s string) string {
	const most = 500
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + " …"
}
