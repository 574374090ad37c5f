/* Forgets the macros of messages.def between two of its expansions; no include guard on purpose. */
#undef HM_STRUCT
#undef HM_MESSAGE
#undef HM_FIELD
#undef HM_NEST
#undef HM_LIST
#undef HM_END
