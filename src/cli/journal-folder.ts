/** Where runs are kept, below the folder in which fleet is run. */
export const journalFolder = '.fleet/journal';
