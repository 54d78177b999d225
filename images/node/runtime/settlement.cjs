// How one invocation comes to its end: the first of all that a handler can say counts.
//
// It may return a promise, call its callback, call done, succeed or fail of its context, throw,
// or leave nothing to do. `decide` is called once, at once, with {result}, or
// {error, what}, where `what` is undefined or says how it came about.

"use strict";

class Settlement {
    #decide;
    #hold = null; // a result for which the callback was called, until the event loop is empty
    #isSaid = false;
    isDecided = false;
    waitsForEmptyLoop = true;

    constructor(decide) {
        this.#decide = decide;
    }

    // The third argument of a handler: a result waits until there is nothing left to do.
    callback(error, result) {
        if (this.#isSaid || isGiven(error) || !this.waitsForEmptyLoop) {
            this.done(error, result);
            return;
        }
        this.#isSaid = true;
        this.#hold = { result };
    }

    done(error, result) {
        this.#say(isGiven(error) ? { error } : { result });
    }

    succeed(result) {
        this.#say({ result });
    }

    fail(error) {
        this.#say({ error: isGiven(error) ? error : "handled" });
    }

    // Nothing is left to do: tell what was held back, else `otherwise`.
    loopEmptied(otherwise) {
        this.#end(this.#hold ?? otherwise);
    }

    // Whatever was said, it ends now, and so.
    abort(error, what) {
        this.#end({ error, what });
    }

    #say(outcome) {
        if (!this.#isSaid) {
            this.#isSaid = true;
            this.#end(outcome);
        }
    }

    #end(outcome) {
        if (!this.isDecided) {
            this.isDecided = true;
            this.#decide(outcome);
        }
    }
}

const isGiven = (error) => error !== undefined && error !== null;

module.exports = { Settlement };
