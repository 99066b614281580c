// Says hello to a server over wss, with the given certificate as root (or none), and hears it back: talk.js URL [ROOT]
const fs = require("fs");
const WebSocket = require("ws");

const [url, root] = process.argv.slice(2);
const ws = new WebSocket(url, root ? { ca: fs.readFileSync(root) } : {});
const messages = [Buffer.from("hello"), Buffer.alloc(1_000_000), Buffer.from("w\u00f6rld".repeat(10_000))];
let next = 0;
ws.on("open", () => ws.send(messages[0]));
ws.on("message", (data) => {
    if (!data.equals(messages[next])) throw new Error(`message ${next} came back changed`);
    next += 1;
    if (next < messages.length) ws.send(messages[next]);
    else ws.close(4000, "bye");
});
ws.on("close", (code) => {
    if (code !== 4000) throw new Error(`closed with ${code}`);
    console.log("heard it all");
});
