// A Node server as tutorials have it (the `ws` library): each message comes back with `Echo: ` before it. `run` lets
// 05_client talk to it.

const { WebSocketServer } = require('ws');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });

server.on('listening', () => console.log(`listening on ws://127.0.0.1:${server.address().port}`));
server.on('connection', (socket) => {
  socket.on('message', (text) => socket.send(`Echo: ${text}`));
});
