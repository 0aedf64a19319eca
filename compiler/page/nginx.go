package page

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"
)

// Nginx is a site's web server.
type Nginx struct {
	Site string
	// Listen is an address and port, or a port, for nginx's listen.
	Listen string
	// Upstream is the worker of a camera, with a port; nginx replaces
	// $camera by its name, $camfleet_domain by the cluster's domain (with a dot before).
	Upstream string
	// Folders, without a slash at the end: the cameras' archives, the page's
	// ConfigMap, what nginx may write to (with resolver.conf in it, see Resolver).
	Archive, Page, Run string
	// Auth is the htpasswd file that says who may enter; "" lets everybody in.
	Auth string
}

// Paths in the page's Pod.
const (
	PodArchive = "/archive"
	PodConfig  = "/etc/camfleet/page"
	PodRun     = "/run/camfleet"
	PodAuth    = "/etc/camfleet/auth"
	// AuthKey is the htpasswd file's name, in the Secret as in PodAuth.
	AuthKey = "auth"
	// Resolver is the include that the init container writes into Run.
	Resolver = "resolver.conf"
	// Port is what nginx listens on.
	Port = 8080
)

// InPod is the web server of a site in a cluster. With a door it asks everybody for a password.
func InPod(site string, door bool) Nginx {
	n := Nginx{
		Site: site, Listen: fmt.Sprint(Port),
		Upstream: fmt.Sprintf("camera-$camera.cameras.camfleet-%s.svc$camfleet_domain:8080", site),
		Archive:  PodArchive, Page: PodConfig, Run: PodRun,
	}
	if door {
		n.Auth = PodAuth + "/" + AuthKey
	}
	return n
}

//go:embed nginx.conf.tmpl
var nginxTemplate string

var nginxConf = template.Must(template.New(ConfigName).Parse(nginxTemplate))

// Conf is nginx.conf.
func (n Nginx) Conf() string {
	var out strings.Builder
	err := nginxConf.Execute(&out, map[string]any{
		"N": n, "Security": quoted(), "Types": Types(), "Immutable": Immutable, "NoCache": NoCache,
		"Name": name, "Asset": asset, "Recording": recording, "Playlist": playlist, "Document": document,
		"Mark": markPrefix, "Index": Index, "Data": Data, "Resolver": Resolver,
	})
	if err != nil {
		panic(err) // the template is a constant, and its data always the same
	}
	return out.String()
}

// quoted are the security headers as words of nginx's configuration.
func quoted() []string {
	var out []string
	for _, s := range security {
		out = append(out, fmt.Sprintf("%s %q", s.name, s.value))
	}
	return out
}
