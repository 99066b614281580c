// The Node peers of the matrix, each an echo as its docs show one.
//
//     node peers.js server NAME PORT
//     node peers.js client NAME ws://127.0.0.1:PORT/
//     node peers.js clients NAME PORT
//
// The last one makes a client for each address that a connection to the port sends as a line (`../one_of` is such a
// connection): the libraries take longer to load than most checks take.

const http = require('http');
const net = require('net');

const peers = {
  'server ws': (port) => {
    const { WebSocketServer } = require('ws');
    new WebSocketServer({ host: '127.0.0.1', port }).on('connection', (ws) => {
      ws.on('error', () => {});
      ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
    });
  },
  // permessage-deflate is off by default on the server; this one switches it on.
  'server ws-deflate': (port) => {
    const { WebSocketServer } = require('ws');
    new WebSocketServer({ host: '127.0.0.1', port, perMessageDeflate: { threshold: 0 } }).on('connection', (ws) => {
      ws.on('error', () => {});
      ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
    });
  },
  'client ws': (url) => {
    const { WebSocket } = require('ws');
    const ws = new WebSocket(url);
    ws.on('error', () => {});
    ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
  },
  'client undici': (url) => {
    const { WebSocket } = require('undici');
    const ws = new WebSocket(url);
    ws.binaryType = 'arraybuffer';
    ws.onmessage = (event) => ws.send(event.data);
    ws.onerror = () => {};
  },
  'server faye-websocket': (port) => {
    const WebSocket = require('faye-websocket');
    const server = http.createServer();
    server.on('upgrade', (request, socket, body) => {
      if (!WebSocket.isWebSocket(request)) return socket.end();
      const ws = new WebSocket(request, socket, body);
      ws.on('message', (event) => ws.send(event.data));
    });
    server.listen(port, '127.0.0.1');
  },
  'client faye-websocket': (url) => {
    const { Client } = require('faye-websocket');
    const ws = new Client(url);
    ws.on('message', (event) => ws.send(event.data));
    ws.on('error', () => {});
  },
  'server websocket-node': (port) => {
    const { server: WebSocketServer } = require('websocket');
    const httpServer = http.createServer((request, response) => response.writeHead(404).end());
    httpServer.listen(port, '127.0.0.1');
    new WebSocketServer({ httpServer, autoAcceptConnections: true, maxReceivedFrameSize: 16 << 20, maxReceivedMessageSize: 16 << 20 })
      .on('connect', (connection) => {
        connection.on('message', (message) => {
          if (message.type === 'utf8') connection.sendUTF(message.utf8Data);
          else connection.sendBytes(message.binaryData);
        });
      });
  },
  'client websocket-node': (url) => {
    const { client: WebSocketClient } = require('websocket');
    const client = new WebSocketClient({ maxReceivedFrameSize: 16 << 20, maxReceivedMessageSize: 16 << 20 });
    client.on('connectFailed', () => {});
    client.on('connect', (connection) => {
      connection.on('error', () => {});
      connection.on('message', (message) => {
        if (message.type === 'utf8') connection.sendUTF(message.utf8Data);
        else connection.sendBytes(message.binaryData);
      });
    });
    client.connect(url);
  },
};

const [role, name, address] = process.argv.slice(2);
if (role === 'clients') {
  net.createServer((control) => {
    control.on('error', () => {});
    control.once('data', (url) => peers[`client ${name}`](url.toString().trim()));
  }).listen(Number(address), '127.0.0.1');
} else {
  peers[`${role} ${name}`](role === 'server' ? Number(address) : address);
}
