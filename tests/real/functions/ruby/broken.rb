# frozen_string_literal: true

# A file that fails while it is loaded.
class Broken < StandardError; end

raise Broken, 'broken while loading'
