// Command podtool is what the tests' own images hold: pause, which keeps a Pod's
// namespaces, and serve, which tells over HTTP what a Pod sees.
//
//	/lookup?name=N   the addresses of a name, one per line
//	/get?url=U       what another server answers
//	/file?path=P     a file's content
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 || os.Args[1] != "serve" {
		<-ctx.Done() // pause
		return
	}
	if err := serve(ctx, ":8080"); err != nil {
		fmt.Fprintln(os.Stderr, "podtool:", err)
		os.Exit(1) //nolint:gocritic // stop is only for signals
	}
}

func handler() http.Handler {
	mux := http.NewServeMux()
	for path, answer := range map[string]func(*http.Request) (string, error){
		"/":       func(*http.Request) (string, error) { return os.Hostname() },
		"/lookup": lookup, "/get": get, "/file": file,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			text, err := answer(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			fmt.Fprint(w, text)
		})
	}
	return mux
}

func serve(ctx context.Context, address string) error {
	server := &http.Server{Addr: address, Handler: handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		server.Close() //nolint:errcheck // the program ends
	}()
	fmt.Println("podtool: serving on", address)
	if err := server.ListenAndServe(); ctx.Err() == nil {
		return err
	}
	return nil
}

func lookup(r *http.Request) (string, error) {
	found, err := net.DefaultResolver.LookupHost(r.Context(), r.FormValue("name"))
	slices.Sort(found)
	return strings.Join(found, "\n"), err
}

func get(r *http.Request) (string, error) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.FormValue("url"), nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

func file(r *http.Request) (string, error) {
	text, err := os.ReadFile(r.FormValue("path"))
	return string(text), err
}
