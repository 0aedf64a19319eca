// Package page is the page of a site: its files, its data (fleet.json), the
// nginx.conf that serves it in a cluster, and the rules of its URLs, which the
// server of the host target follows too.
//
//	assets/* (embedded) ─┬─► ConfigMap page ─► nginx        (cluster: one site)
//	fleet.json ──────────┘                 └─► reconciler/host (one machine: all sites)
//
// What is served is a list, not a folder: Route says which paths there are,
// and nginx.conf is made from the same patterns. A journal, a lock, a temporary
// file, a dotfile or a folder is not on it and is answered 404, as is every
// path that is not written in the one plain way. pagetest holds both servers
// to one table of requests.
//
// nginx.conf does not name the cameras: the ConfigMap holds an (empty) mark
// for each, which the kubelet updates in place, so that a camera that comes or
// goes restarts no page.
package page
