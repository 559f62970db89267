<?php
// Proofs of identity for Belfry in PHP 8, with nothing but the extensions that are always there.
//
//   BELFRY_PUBLIC_KEY=pk_… BELFRY_IDENTITY_SECRET=isk_… php sign.php FORM ARGUMENTS
//
//   plain ID            v2-subscriber ID SECONDS
//   base64 ID           v2-traits ID SECONDS NAME=VALUE …
//   dotted ID SECONDS   v2-company ID COMPANY SECONDS
//
// SECONDS is Unix time: time().

declare(strict_types=1);

const FORMS = [
    'plain' => 'plain',
    'base64' => 'plain_base64',
    'dotted' => 'dotted',
    'v2-subscriber' => 'v2_subscriber',
    'v2-traits' => 'v2_traits',
    'v2-company' => 'v2_company',
];

define('PUBLIC_KEY', (string) getenv('BELFRY_PUBLIC_KEY'));
define('SECRET', (string) getenv('BELFRY_IDENTITY_SECRET'));

/** An id with a line feed in it could say more than an id. */
function checked(string $id): string
{
    // The u flag makes preg_match fail for what is not UTF-8.
    if (strlen($id) > 255 || preg_match('/^\P{Cc}+$/Du', $id) !== 1) {
        throw new InvalidArgumentException('not an id');
    }
    return $id;
}

function mac(string $text): string
{
    return hash_hmac('sha256', $text, SECRET);
}

/**
 * Canonical JSON (RFC 8785) of flat traits. The RFC sorts names by UTF-16 code units; the cast keeps [] and lists from becoming arrays.
 * Good for text, booleans, null and whole numbers up to 2 ** 53. Not for float: send such a number as text.
 */
function canonical(array $traits): string
{
    $utf16 = fn (int|string $name): string => iconv('UTF-8', 'UTF-16BE', (string) $name);
    uksort($traits, fn ($left, $right): int => strcmp($utf16($left), $utf16($right)));
    $flags = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_LINE_TERMINATORS | JSON_THROW_ON_ERROR;
    return json_encode((object) $traits, $flags);
}

function plain(string $id): string
{
    return mac(checked($id));
}

function plain_base64(string $id): string
{
    return base64_encode(hash_hmac('sha256', checked($id), SECRET, true));
}

function dotted(string $id, string $seconds): string
{
    return mac(checked($id) . '.' . $seconds);
}

function v2_subscriber(string $id, string $seconds): string
{
    return mac(implode("\n", ['v2:subscriber', PUBLIC_KEY, $seconds, checked($id)]));
}

function v2_traits(string $id, string $seconds, string ...$pairs): string
{
    $traits = [];
    foreach ($pairs as $pair) {
        [$name, $value] = explode('=', $pair, 2);
        $traits[$name] = $value;
    }
    return mac(implode("\n", ['v2:subscriber', PUBLIC_KEY, $seconds, checked($id), hash('sha256', canonical($traits))]));
}

function v2_company(string $id, string $company, string $seconds): string
{
    return mac(implode("\n", ['v2:company', PUBLIC_KEY, $seconds, checked($id), checked($company)]));
}

if (strlen(SECRET) < 32) {
    throw new RuntimeException('BELFRY_IDENTITY_SECRET is not set, or too short');
}
$arguments = array_slice($argv, 2);
echo FORMS[$argv[1]](...$arguments), "\n";
