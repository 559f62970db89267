# Proofs of identity for Belfry in Elixir, with nothing but Erlang's crypto application.
#
#   BELFRY_PUBLIC_KEY=pk_… BELFRY_IDENTITY_SECRET=isk_… elixir sign.exs FORM ARGUMENTS
#
#   plain ID            v2-subscriber ID SECONDS
#   base64 ID           v2-traits ID SECONDS NAME=VALUE …
#   dotted ID SECONDS   v2-company ID COMPANY SECONDS
#
# SECONDS is Unix time: System.os_time(:second).

defmodule Sign do
  def run(["plain", id]), do: hex(mac([checked(id)]))
  def run(["base64", id]), do: Base.encode64(mac([checked(id)]))
  def run(["dotted", id, seconds]), do: hex(mac(["#{checked(id)}.#{seconds}"]))
  def run(["v2-subscriber", id, seconds]), do: hex(mac(["v2:subscriber", public_key(), seconds, checked(id)]))

  def run(["v2-traits", id, seconds | pairs]) do
    traits = Map.new(pairs, fn pair -> pair |> String.split("=", parts: 2) |> List.to_tuple() end)
    hex(mac(["v2:subscriber", public_key(), seconds, checked(id), digest(traits)]))
  end

  def run(["v2-company", id, company, seconds]) do
    hex(mac(["v2:company", public_key(), seconds, checked(id), checked(company)]))
  end

  # An id with a line feed in it could say more than an id.
  defp checked(id) do
    if id == "" or byte_size(id) > 255 or not String.valid?(id) or String.match?(id, ~r/\p{Cc}/u) do
      raise ArgumentError, "not an id"
    end

    id
  end

  defp mac(lines), do: :crypto.mac(:hmac, :sha256, secret(), Enum.join(lines, "\n"))

  defp digest(traits), do: hex(:crypto.hash(:sha256, canonical(traits)))

  defp hex(bytes), do: Base.encode16(bytes, case: :lower)

  # Canonical JSON (RFC 8785) of flat traits of text: names sorted by UTF-16 code units, and only what has to be escaped is. Numbers have
  # rules of their own in the RFC; send them as text.
  defp canonical(traits) do
    members =
      traits
      |> Enum.sort_by(fn {name, _} -> :unicode.characters_to_binary(name, :utf8, {:utf16, :big}) end)
      |> Enum.map_join(",", fn {name, value} -> "#{quoted(name)}:#{quoted(value)}" end)

    "{#{members}}"
  end

  @short %{?" => "\\\"", ?\\ => "\\\\", ?\b => "\\b", ?\t => "\\t", ?\n => "\\n", ?\f => "\\f", ?\r => "\\r"}

  defp quoted(text), do: "\"" <> for(<<char::utf8 <- text>>, into: "", do: escaped(char)) <> "\""

  defp escaped(char) when is_map_key(@short, char), do: Map.fetch!(@short, char)
  defp escaped(char) when char < 0x20, do: "\\u00" <> String.downcase(String.pad_leading(Integer.to_string(char, 16), 2, "0"))
  defp escaped(char), do: <<char::utf8>>

  defp public_key, do: System.get_env("BELFRY_PUBLIC_KEY", "")

  defp secret do
    secret = System.get_env("BELFRY_IDENTITY_SECRET", "")
    if byte_size(secret) < 32, do: raise("BELFRY_IDENTITY_SECRET is not set, or too short")
    secret
  end
end

System.argv() |> Sign.run() |> IO.puts()
