// Reads one HTTP/1.1 reply out of the pieces in which it comes.
//
// Header values are UTF-8, which node:http would take for Latin-1.

"use strict";

const HEAD_END = "\r\n\r\n";
const LINE_END = "\r\n";
const MAX_HEAD = 4 * 1_048_576; // bytes; a client context alone may be large
const NOTHING = Buffer.alloc(0);

class MalformedReply extends Error {}

class ReplyReader {
    #before = NOTHING; // what has come and could not be read yet
    #read = this.#readHead;
    #pieces = [];
    #missing = 0; // bytes of a body, or of a chunk of one

    status = 0;
    headers = new Map();
    isComplete = false;

    get hasBegun() {
        return this.status !== 0 || this.#before.length > 0;
    }

    get body() {
        return this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces);
    }

    // Whether the connection can be used for another request.
    get isReusable() {
        const closes = /close/i.test(this.headers.get("connection") ?? "");
        return this.isComplete && !closes && this.#before.length === 0;
    }

    // Take what has come; raises MalformedReply.
    push(piece) {
        let rest = this.#before.length > 0 ? Buffer.concat([this.#before, piece]) : piece;
        let before = -1;
        while (!this.isComplete && rest.length !== before) {
            before = rest.length;
            rest = this.#read(rest);
        }
        this.#before = rest;
    }

    // The other end has closed the connection: some bodies end so.
    end() {
        if (this.#read === this.#readToTheEnd) {
            this.isComplete = true;
        }
        return this.isComplete;
    }

    #readHead(bytes) {
        const end = bytes.indexOf(HEAD_END);
        if (end < 0) {
            if (bytes.length > MAX_HEAD) {
                throw new MalformedReply("a head without an end");
            }
            return bytes;
        }
        const [first, ...lines] = bytes.toString("utf8", 0, end).split(LINE_END);
        const status = /^HTTP\/1\.([01]) (\d{3})/.exec(first);
        if (!status) {
            throw new MalformedReply(`not an HTTP/1 status line: ${first.slice(0, 80)}`);
        }
        const rest = bytes.subarray(end + HEAD_END.length);
        if (status[2].startsWith("1")) {
            return rest; // the real one follows
        }
        this.status = Number(status[2]);
        this.headers = new Map(lines.map(fieldOf));
        if (status[1] === "0") {
            this.headers.set("connection", "close");
        }
        this.#expectBody();
        return rest;
    }

    #expectBody() {
        const length = this.headers.get("content-length");
        if (/chunked/i.test(this.headers.get("transfer-encoding") ?? "")) {
            this.#read = this.#readChunkSize;
        } else if (this.status === 204 || length === "0") {
            this.isComplete = true;
        } else if (length === undefined) {
            this.headers.set("connection", "close");
            this.#read = this.#readToTheEnd;
        } else if (/^\d+$/.test(length)) {
            this.#missing = Number(length);
            this.#read = this.#readLength;
        } else {
            throw new MalformedReply(`not a length: ${length}`);
        }
    }

    #readLength(bytes) {
        const rest = this.#takeMissing(bytes);
        this.isComplete = this.#missing === 0;
        return rest;
    }

    #readToTheEnd(bytes) {
        this.#pieces.push(bytes);
        return NOTHING;
    }

    #readChunkSize(bytes) {
        const end = bytes.indexOf(LINE_END);
        if (end < 0) {
            return bytes;
        }
        const size = /^([0-9a-f]+)\s*(;.*)?$/i.exec(bytes.toString("latin1", 0, end));
        if (!size) {
            throw new MalformedReply("not the size of a chunk");
        }
        this.#missing = Number.parseInt(size[1], 16);
        this.#read = this.#missing === 0 ? this.#readTrailers : this.#readChunk;
        return bytes.subarray(end + LINE_END.length);
    }

    #readChunk(bytes) {
        const rest = this.#takeMissing(bytes);
        if (this.#missing === 0) {
            this.#read = this.#readChunkEnd;
        }
        return rest;
    }

    #readChunkEnd(bytes) {
        if (bytes.length < LINE_END.length) {
            return bytes;
        }
        this.#read = this.#readChunkSize;
        return bytes.subarray(LINE_END.length);
    }

    #readTrailers(bytes) {
        const end = bytes.indexOf(LINE_END);
        this.isComplete = end === 0;
        return end < 0 ? bytes : bytes.subarray(end + LINE_END.length);
    }

    #takeMissing(bytes) {
        const taken = bytes.subarray(0, this.#missing);
        if (taken.length > 0) {
            this.#pieces.push(taken);
        }
        this.#missing -= taken.length;
        return bytes.subarray(taken.length);
    }
}

function fieldOf(line) {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}

module.exports = { MalformedReply, ReplyReader };
