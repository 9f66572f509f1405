//! What a token says of itself, for tokens whose clock does not say the time as PKCS#11 has it: opencryptoki's says
//! `HH:MM:SS`. cryptoki takes all of a token's information or none, and these tokens could not be found by name.

#![allow(unsafe_code, reason = "no safe interface hands out a token's information without its time")]

use std::{path::Path, ptr};

use cryptoki::slot::{Slot, TokenInfo};
use cryptoki_sys::{CK_TOKEN_INFO, CKF_CLOCK_ON_TOKEN, CKR_OK, Pkcs11};

/// The information of the token in `slot`, without its time, from the module at `path`, which is loaded and
/// initialized.
pub(super) fn without_time(path: &Path, slot: Slot) -> Option<TokenInfo> {
    let mut info = CK_TOKEN_INFO::default();
    // SAFETY: the library is loaded already, so that this opens the same one once more and runs nothing of it. By the
    // standard `C_GetFunctionList` stores a pointer to a list that lives as long as the library, which lives to the end
    // of this block, and `C_GetTokenInfo` writes one `CK_TOKEN_INFO`.
    let answer = unsafe {
        let library = Pkcs11::new(path).ok()?;
        let mut list = ptr::null_mut();
        if library.C_GetFunctionList.is_err() || library.C_GetFunctionList(&mut list) != CKR_OK || list.is_null() {
            return None;
        }
        (*list).C_GetTokenInfo?(slot.into(), &mut info)
    };
    info.flags &= !CKF_CLOCK_ON_TOKEN;
    if answer == CKR_OK { TokenInfo::try_from(info).ok() } else { None }
}
