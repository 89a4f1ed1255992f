/** The number of the protocol between versions: native/between-versions.h has it too, and says of what. */
export const BETWEEN_VERSIONS = 2;
