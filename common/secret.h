// SPDX-License-Identifier: MIT
//
// Secrets in addresses: passwords, stream keys and tokens are hidden in everything that
// is shown or written for people. The addresses in use are not changed.
#ifndef REEL_COMMON_SECRET_H
#define REEL_COMMON_SECRET_H

#include <stddef.h>

// Puts "***" in place of the secrets of every address (SCHEME://...) in text: the password of
// user:password@host, a stream key (what follows rtmp://host/app/), and the values of a
// query whose names speak of a secret (passphrase, token, key, streamid, ...).
// In place; the text never gets longer. An address ends at a blank or quotation mark.
void reel_hide_secrets(char *text);
// The same on a copy, cut to `bytes`. Returns out.
const char *reel_shown(const char *text, char *out, size_t bytes);

#endif
