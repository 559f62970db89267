/**
 * How the client names itself when it opens a session or reports a profile, in `x-belfry-sdk`: the gateway counts by it which versions of a site still send
 * wrong proofs. A test holds the version to the one in package.json.
 */
export const SDK = 'belfry-web/0.1.0';
