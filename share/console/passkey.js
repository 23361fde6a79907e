// Passkeys: bytes in and out of the browser's own calls, as base64url.

export function toBytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (c) => c.charCodeAt(0));
}
export function toText(buffer) {
  let plain = "";
  for (const byte of new Uint8Array(buffer)) plain += String.fromCharCode(byte);
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/// What is wrong, in words: browsers tell little, so that pages learn little.
export function words(error) {
  const known = {
    NotAllowedError: "The passkey was not used: it was declined, took too long, or is not on this device.",
    InvalidStateError: "This authenticator has a passkey of this person already.",
    SecurityError: "The browser refuses passkeys here: open the page as http://localhost.",
    NotSupportedError: "This browser or authenticator has no passkeys of the kinds that are taken (ES256, EdDSA).",
  };
  return known[error.name] ?? error.message;
}

/// Signs exactly `asked.challenge`, which the node made for one statement.
export async function sign(asked) {
  const credential = await navigator.credentials.get({ publicKey: {
    challenge: toBytes(asked.challenge), rpId: asked.rp_id, userVerification: asked.user_verification ?? "required", timeout: 120000,
    allowCredentials: asked.allow.map((one) => ({ type: "public-key", id: toBytes(one.id) })),
  } });
  return { credential: toText(credential.rawId), client_data: toText(credential.response.clientDataJSON),
    authenticator_data: toText(credential.response.authenticatorData), signature: toText(credential.response.signature) };
}

/// A new passkey on this device or key; without attestation: nobody learns which maker it has.
export async function make(asked, person) {
  const credential = await navigator.credentials.create({ publicKey: {
    challenge: toBytes(asked.challenge), rp: { id: asked.rp_id, name: "Flexroom" }, timeout: 120000, attestation: "none",
    user: { id: toBytes(asked.user ?? toText(crypto.getRandomValues(new Uint8Array(16)))), name: person, displayName: person },
    pubKeyCredParams: [{ type: "public-key", alg: -7 }, { type: "public-key", alg: -8 }],
    excludeCredentials: (asked.exclude ?? []).map((one) => ({ type: "public-key", id: toBytes(one.id) })),
    authenticatorSelection: { userVerification: "required", residentKey: "preferred" },
  } });
  return { attestation_object: toText(credential.response.attestationObject), client_data: toText(credential.response.clientDataJSON) };
}
