-- A file that fails while it is loaded.
error { type = "Broken", message = "broken while loading" }
