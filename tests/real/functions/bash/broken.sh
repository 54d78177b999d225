# A file that fails while it is loaded.
raise Broken 'broken while loading'
