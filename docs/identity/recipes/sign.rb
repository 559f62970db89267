# Proofs of identity for Belfry in Ruby, with nothing but its standard library.
#
#   BELFRY_PUBLIC_KEY=pk_… BELFRY_IDENTITY_SECRET=isk_… ruby sign.rb FORM ARGUMENTS
#
#   plain ID            v2-subscriber ID SECONDS
#   base64 ID           v2-traits ID SECONDS NAME=VALUE …
#   dotted ID SECONDS   v2-company ID COMPANY SECONDS
#
# SECONDS is Unix time: Time.now.to_i.

require 'openssl'

PUBLIC_KEY = ENV.fetch('BELFRY_PUBLIC_KEY', '')
SECRET = ENV.fetch('BELFRY_IDENTITY_SECRET', '')
abort 'BELFRY_IDENTITY_SECRET is not set, or too short' if SECRET.bytesize < 32

# An id with a line feed in it could say more than an id.
def checked(id)
  raise ArgumentError, 'not an id' unless id.valid_encoding? && id.bytesize <= 255 && id.match?(/\A[^[:cntrl:]]+\z/)

  id
end

def mac(*lines)
  OpenSSL::HMAC.digest('SHA256', SECRET, lines.join("\n"))
end

def hex(bytes)
  bytes.unpack1('H*')
end

# Canonical JSON (RFC 8785) of flat traits of text: names sorted by UTF-16 code units, and only what has to be escaped is. Numbers have
# rules of their own in the RFC; send them as text.
def canonical(traits)
  members = traits.sort_by { |name, _| name.encode('UTF-16BE').b }.map { |name, value| "#{quote(name)}:#{quote(value)}" }
  "{#{members.join(',')}}"
end

SHORT = { '"' => '\\"', '\\' => '\\\\', "\b" => '\\b', "\t" => '\\t', "\n" => '\\n', "\f" => '\\f', "\r" => '\\r' }.freeze

def quote(text)
  escaped = text.gsub(/["\\\x00-\x1f]/) { |char| SHORT.fetch(char) { format('\\u%04x', char.ord) } }
  "\"#{escaped}\""
end

def plain(id)
  hex(mac(checked(id)))
end

# m0: without the line feed that encode64 and pack('m') add.
def plain_base64(id)
  [mac(checked(id))].pack('m0')
end

def dotted(id, seconds)
  hex(mac("#{checked(id)}.#{seconds}"))
end

def v2_subscriber(id, seconds)
  hex(mac('v2:subscriber', PUBLIC_KEY, seconds, checked(id)))
end

def v2_traits(id, seconds, *pairs)
  traits = pairs.to_h { |pair| pair.split('=', 2) }
  hex(mac('v2:subscriber', PUBLIC_KEY, seconds, checked(id), OpenSSL::Digest::SHA256.hexdigest(canonical(traits))))
end

def v2_company(id, company, seconds)
  hex(mac('v2:company', PUBLIC_KEY, seconds, checked(id), checked(company)))
end

FORMS = {
  'plain' => :plain,
  'base64' => :plain_base64,
  'dotted' => :dotted,
  'v2-subscriber' => :v2_subscriber,
  'v2-traits' => :v2_traits,
  'v2-company' => :v2_company
}.freeze

puts send(FORMS.fetch(ARGV[0]), *ARGV.drop(1)) if $PROGRAM_NAME == __FILE__
