#[path = "/work/main/benches/support/keyring.rs"]
mod keyring;
use bulla::*;
fn main(){
 let k=keyring::load(Suite::Aes256Gcm); let v=Verifier::new(&k);
 let issuer=Issuer::new(&k);
 let request=Request{realm:keyring::realm(),app_id:keyring::APP,expires_at:Some(keyring::NOW+86400),claims:Claims::new()};
 let keys:Vec<String>=(0..512).map(|_|issuer.issue(&request,keyring::NOW).unwrap().expose().to_owned()).collect();
 let realms=[keyring::realm()]; let e=Expectations::realms(&realms);
 let n:usize=std::env::args().nth(1).unwrap().parse().unwrap();
 for i in 0..n { assert!(v.verify(std::hint::black_box(&keys[i%512]),&e,keyring::NOW).is_ok()); }
}
