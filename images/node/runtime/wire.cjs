// One kept HTTP/1.1 connection to the Runtime API, on a raw socket.
//
// There is no proxy and no timeout: a parked /next may take hours, and its process may be frozen
// meanwhile. While no request is under way the socket does not keep the event loop alive, since
// an empty loop means something to handlers. A request is written before `exchange` returns, so
// that it is out even if the function's next word is process.exit().

"use strict";

const net = require("node:net");

const { ReplyReader } = require("./reply.cjs");

const NOTHING = Buffer.alloc(0);

// The connection ended before the reply did; `answered`: some of it had come.
class ConnectionLost extends Error {
    constructor(reason, answered) {
        super(reason);
        this.answered = answered;
    }
}

class Connection {
    #address;
    #socket = null;
    #request = null; // {reader, resolve, reject} while a reply is awaited

    constructor(host, port) {
        this.#address = { host, port, noDelay: true };
    }

    // Send one request, return its reply (status, headers, body).
    //
    // When the connection turns out to be lost it is sent once more, on a new one, if it is
    // `repeatable`, or if it went out on a kept connection that the other end had dropped: kept,
    // and not a byte of an answer.
    async exchange(head, body = NOTHING, repeatable = false) {
        const isKept = this.#socket !== null;
        try {
            return await this.#attempt(head, body);
        } catch (error) {
            const isLost = error instanceof ConnectionLost;
            if (!isLost || !(repeatable || (isKept && !error.answered))) {
                throw error;
            }
        }
        return this.#attempt(head, body);
    }

    #attempt(head, body) {
        const socket = (this.#socket ??= this.#open());
        return new Promise((resolve, reject) => {
            this.#request = { reader: new ReplyReader(), resolve, reject };
            socket.ref();
            socket.cork();
            socket.write(head);
            if (body.length > 0) {
                socket.write(body);
            }
            socket.uncork();
        });
    }

    #open() {
        const socket = net.connect(this.#address);
        let isConnected = false;
        let reason = null;
        socket.on("connect", () => (isConnected = true));
        socket.on("data", (piece) => this.#take(socket, piece));
        socket.on("end", () => this.#request?.reader.end());
        socket.on("error", (error) => (reason = error));
        socket.on("close", () => this.#lose(socket, reason, isConnected));
        return socket;
    }

    #take(socket, piece) {
        if (this.#request === null) {
            this.#drop(socket); // bytes that nobody asked for
            return;
        }
        const { reader, resolve, reject } = this.#request;
        try {
            reader.push(piece);
        } catch (error) {
            this.#drop(socket);
            reject(error);
            return;
        }
        if (reader.isComplete) {
            // A refusal may come before all of the request has gone out.
            this.#rest(socket, reader.isReusable && socket.writableLength === 0);
            resolve(reader);
        }
    }

    #rest(socket, isReusable) {
        this.#request = null;
        if (isReusable) {
            socket.unref();
        } else {
            this.#drop(socket);
        }
    }

    #drop(socket) {
        this.#request = null;
        this.#socket = null;
        socket.destroy();
    }

    #lose(socket, reason, wasConnected) {
        if (this.#socket !== socket) {
            return;
        }
        const request = this.#request;
        this.#drop(socket);
        if (request?.reader.isComplete) {
            request.resolve(request.reader);
        } else if (wasConnected) {
            const why = reason?.message ?? "the other end closed the connection";
            request?.reject(new ConnectionLost(why, request.reader.hasBegun));
        } else {
            request?.reject(reason);
        }
    }
}

module.exports = { ConnectionLost, Connection };
