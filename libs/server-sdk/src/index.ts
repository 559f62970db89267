export { IdentityMistakeError, type MistakeCode } from './mistakes.js';
export { type ProofHandlerOptions, proofFetchHandler, proofHandler, type ProofResponse, type SignedInUser } from './proof-handler.js';
export { type GroupProof, IdentitySigner, type IdentitySignerOptions, type SubscriberProof, type Traits } from './identity-signer.js';
