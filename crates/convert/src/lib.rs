//! DBN files to a store of labelled tick bins, with nothing lost silently.
