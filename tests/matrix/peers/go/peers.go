// The Go peers of the matrix, each an echo as its docs show one. Built from Debian's packages of their sources.
//
//	peers server NAME PORT
//	peers client NAME ws://127.0.0.1:PORT/
package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"os"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
	netws "golang.org/x/net/websocket"
	nhooyr "nhooyr.io/websocket"
)

// Whether a text is UTF-8 is the application's question, say the docs.
func echoGorilla(conn *websocket.Conn) {
	defer conn.Close()
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if kind == websocket.TextMessage && !utf8.Valid(message) {
			reason := websocket.FormatCloseMessage(websocket.CloseInvalidFramePayloadData, "")
			conn.WriteControl(websocket.CloseMessage, reason, time.Time{})
			return
		}
		if err := conn.WriteMessage(kind, message); err != nil {
			return
		}
	}
}

func echoNhooyr(conn *nhooyr.Conn) {
	defer conn.Close(nhooyr.StatusInternalError, "")
	conn.SetReadLimit(16 << 20)
	for {
		kind, message, err := conn.Read(context.Background())
		if err != nil {
			return
		}
		if err := conn.Write(context.Background(), kind, message); err != nil {
			return
		}
	}
}

func serve(port string, handler http.Handler) {
	log.SetOutput(io.Discard)
	os.Stderr.WriteString(http.ListenAndServe("127.0.0.1:"+port, handler).Error())
}

func main() {
	role, name, address := os.Args[1], os.Args[2], os.Args[3]
	switch role + " " + name {
	case "server gorilla":
		upgrader := websocket.Upgrader{EnableCompression: true}
		serve(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
				echoGorilla(conn)
			}
		}))
	case "client gorilla":
		if conn, _, err := websocket.DefaultDialer.Dial(address, nil); err == nil {
			echoGorilla(conn)
		}
	case "server nhooyr":
		serve(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if conn, err := nhooyr.Accept(w, r, nil); err == nil {
				echoNhooyr(conn)
			}
		}))
	case "client nhooyr":
		if conn, _, err := nhooyr.Dial(context.Background(), address, nil); err == nil {
			echoNhooyr(conn)
		}
	case "server x-net":
		// Server, and not Handler, which refuses requests without Origin. Codec keeps the kind of a frame; there are no
		// messages. The example of the docs doesn't close, and then no Close is answered.
		type message struct {
			data []byte
			kind byte
		}
		codec := netws.Codec{
			Marshal: func(v interface{}) ([]byte, byte, error) { return v.(message).data, v.(message).kind, nil },
			Unmarshal: func(data []byte, kind byte, v interface{}) error {
				*v.(*message) = message{data, kind}
				return nil
			},
		}
		serve(address, netws.Server{Handler: func(conn *netws.Conn) {
			defer conn.Close()
			var m message
			for codec.Receive(conn, &m) == nil && codec.Send(conn, m) == nil {
			}
		}})
	}
}
