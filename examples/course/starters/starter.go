// Listens and prints what each peer sends. Your WebSocket server begins here.
//
// run: go run starter.go [ADDRESS]
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
)

func main() {
	address := "127.0.0.1:9001"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on ws://%s\n", listener.Addr())
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		// Copy reads until the peer ends the stream. Next: stop at the empty line, then answer with
		// conn.Write([]byte("HTTP/1.1 ...")).
		io.Copy(os.Stdout, conn)
		conn.Close()
	}
}
