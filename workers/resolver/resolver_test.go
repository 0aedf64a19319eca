package resolver

import (
	"errors"
	"strings"
	"testing"
)

func TestNginx(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, servers, domain string }{
		{
			"a Pod's", "search camfleet-gate.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
			"10.96.0.10", ".cluster.local",
		},
		{"two servers", "nameserver 10.0.0.1\nnameserver 10.0.0.2\nsearch svc.home.arpa\n", "10.0.0.1 10.0.0.2", ".home.arpa"},
		{"IPv6", "nameserver fd00::a\nsearch a.svc.x svc.x x", "[fd00::a]", ".x"},
		{"IPv4 in IPv6", "nameserver ::ffff:10.0.0.1", "10.0.0.1", ""},
		{"a trailing dot", "nameserver 10.0.0.1\nsearch svc.cluster.local.", "10.0.0.1", ".cluster.local"},
		{"no cluster", "nameserver 192.168.1.1\nsearch lan", "192.168.1.1", ""},
		{"the last search counts", "nameserver 10.0.0.1\nsearch svc.a\nsearch svc.b", "10.0.0.1", ".b"},
		{"comments", "# nameserver 10.0.0.9\n; x\n\nnameserver 10.0.0.1 # mine\n", "10.0.0.1", ""},
		{"a zone is left out", "nameserver fe80::1%eth0\nnameserver 10.0.0.1", "10.0.0.1", ""},
		{"a name is no address", "nameserver dns.lan\nnameserver 10.0.0.1", "10.0.0.1", ""},
		{"no way into nginx.conf", "nameserver 10.0.0.1\nsearch svc.a\";}evil svc.b{", "10.0.0.1", ""},
		{"a Windows file", "nameserver 10.0.0.1\r\nsearch svc.a\r\n", "10.0.0.1", ".a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := Nginx([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			want := "resolver " + c.servers + " valid=5s;\nmap $host $camfleet_domain {\n\tdefault \"" + c.domain + "\";\n}\n"
			if string(got) != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestNginxNeedsAServer(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "nameserver\n", "nameserver x\n", "search svc.a\n"} {
		if _, err := Nginx([]byte(in)); !errors.Is(err, ErrNoServer) {
			t.Errorf("%q: got %v, want ErrNoServer", in, err)
		}
	}
}

// FuzzNginx: whatever a resolv.conf holds, the include stays the two statements that it is.
func FuzzNginx(f *testing.F) {
	f.Add("nameserver 10.0.0.1\nsearch svc.cluster.local")
	f.Add("nameserver ::1\nsearch svc.\"; evil")
	f.Fuzz(func(t *testing.T, in string) {
		out, err := Nginx([]byte(in))
		if err != nil {
			return
		}
		s := string(out)
		if strings.Count(s, ";") != 2 || strings.Count(s, "{") != 1 || strings.Count(s, "\n") != 4 || strings.Count(s, `"`) != 2 {
			t.Errorf("%q became\n%s", in, s)
		}
	})
}
