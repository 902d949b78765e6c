// The entry, in Go: passes requests on to the page and gives up after two seconds.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	page, client := os.Getenv("PAGE_URL"), http.Client{Timeout: 2 * time.Second}
	http.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) {
		found, err := client.Get(page)
		if err != nil {
			http.Error(answer, "the page does not answer", http.StatusBadGateway)
			return
		}
		defer found.Body.Close()
		answer.WriteHeader(found.StatusCode)
		io.Copy(answer, found.Body)
	})
	log.Print("listening on 8080")
	log.Fatal(http.ListenAndServe(":8080", nil))
}
