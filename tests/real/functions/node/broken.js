// A module that fails while it is loaded.
"use strict";

throw Object.assign(new Error("broken while loading"), { name: "Broken" });
