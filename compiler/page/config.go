package page

import (
	"fmt"
	"sync"
)

// Config is the content of a site's ConfigMap page.
type Config struct {
	Data   map[string]string // nginx.conf, fleet.json, a mark for each camera, the door
	Binary map[string][]byte // the page's files, compressed
}

// ConfigName is the key of nginx.conf. Door is that of the Secret's name, where
// the page asks for a password: for servers that are not nginx.
const (
	ConfigName = "nginx.conf"
	Door       = "door"
)

// Mark is the key of a camera's mark: while it is there, the camera is.
func Mark(camera string) string { return markPrefix + camera }

const markPrefix = "camera."

// maxConfig is the most that a ConfigMap may hold, less some room for metadata.
const maxConfig = 1<<20 - 1<<16

// files are the embedded assets, compressed once: they are the same for all sites.
var files = sync.OnceValues(func() (map[string][]byte, error) { return compressed(Assets()) })

// NewConfig makes the content of a site's ConfigMap. door is the Secret that
// holds who may enter, or "".
func NewConfig(fleet string, site Site, door string) (Config, error) {
	binary, err := files()
	if err != nil {
		return Config{}, err
	}
	data, err := Fleet{Fleet: fleet, Sites: []Site{site}}.JSON()
	if err != nil {
		return Config{}, fmt.Errorf("encoding the page's data: %w", err)
	}
	c := Config{Binary: binary, Data: map[string]string{
		ConfigName: InPod(site.Name, door != "").Conf(),
		Data:       string(data),
	}}
	if door != "" {
		c.Data[Door] = door
	}
	for _, camera := range site.Cameras {
		c.Data[Mark(camera.Name)] = ""
	}
	if size := c.size(); size > maxConfig {
		return Config{}, fmt.Errorf("the page needs %d bytes, and a ConfigMap holds %d: split the site's %d cameras over several sites", size, maxConfig, len(site.Cameras))
	}
	return c, nil
}

func (c Config) size() (n int) {
	for k, v := range c.Data {
		n += len(k) + len(v)
	}
	for k, v := range c.Binary {
		n += len(k) + len(v)
	}
	return n
}
