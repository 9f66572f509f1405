//! Messages of prost in gRPC's frames.

use std::marker::PhantomData;

use prost::{
    Message,
    bytes::{Buf, BufMut},
};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// Reads `D`, and writes `E`.
pub(super) struct Messages<E, D>(PhantomData<(E, D)>);

impl<E, D> Default for Messages<E, D> {
    fn default() -> Self {
        Messages(PhantomData)
    }
}

impl<E: Message + 'static, D: Message + Default + 'static> Codec for Messages<E, D> {
    type Encode = E;
    type Decode = D;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

impl<E: Message, D: Message + Default> Decoder for Messages<E, D> {
    type Item = D;
    type Error = Status;

    fn decode(&mut self, frame: &mut DecodeBuf<'_>) -> Result<Option<D>, Status> {
        let message = D::decode(frame.copy_to_bytes(frame.remaining()));
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

impl<E: Message, D: Message> Encoder for Messages<E, D> {
    type Item = E;
    type Error = Status;

    fn encode(&mut self, message: E, frame: &mut EncodeBuf<'_>) -> Result<(), Status> {
        frame.put_slice(&message.encode_to_vec());
        Ok(())
    }
}
