/** What is refused in the words of Pantavisor's runtime, by which its clients know it. */
export const BAD_CHECKSUM = 'Object has bad checksum';
export const NO_SPACE = 'Not enough disk space available';
export const BAD_STATE = 'State verification has failed';
