# frozen_string_literal: true

# larder for Ruby: Django's cache framework, shared with the Django processes beside you. See README.md.
#
#     context = Larder::Context.open("caches.json")
#     store = context.store("default")
#     store.set("greeting", "hello", ttl: 60)
#     store.get("greeting") # => "hello"
module Larder
end

require "larder/native"
require "larder/error"
require "larder/convert"
require "larder/context"
require "larder/stats"
require "larder/store"
require "larder/token"
require "larder/queue"
require "larder/pipeline"
