//! Reason codes (section 2.4) that gridtally sends.

/// A reason code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// 0x00: stored and durable; or simply: yes.
    Success,
    /// 0x81.
    MalformedPacket,
    /// 0x82.
    ProtocolError,
    /// 0x83: the record would be larger than any may be.
    ImplementationSpecificError,
    /// 0x84: CONNECT only.
    UnsupportedProtocolVersion,
    /// 0x85: CONNECT only.
    ClientIdNotValid,
    /// 0x86: CONNECT only; user name and password do not belong together.
    BadUserNameOrPassword,
    /// 0x87: not this publisher's topic or meter; a subscription; or who connects did not say who it is.
    NotAuthorized,
    /// 0x88: the log cannot be trusted any more.
    ServerUnavailable,
    /// 0x89: as many connections as may be are open.
    ServerBusy,
    /// 0x8B.
    ServerShuttingDown,
    /// 0x8C: CONNECT only.
    BadAuthenticationMethod,
    /// 0x8D.
    KeepAliveTimeout,
    /// 0x8E: a newer connection has the same client id.
    SessionTakenOver,
    /// 0x92: PUBCOMP only.
    PacketIdNotFound,
    /// 0x93.
    ReceiveMaximumExceeded,
    /// 0x94.
    TopicAliasInvalid,
    /// 0x95.
    PacketTooLarge,
    /// 0x97: the log is full.
    QuotaExceeded,
    /// 0x99: not decodable; stored whole.
    PayloadFormatInvalid,
}

impl Reason {
    /// The code.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Success => 0x00,
            Self::MalformedPacket => 0x81,
            Self::ProtocolError => 0x82,
            Self::ImplementationSpecificError => 0x83,
            Self::UnsupportedProtocolVersion => 0x84,
            Self::ClientIdNotValid => 0x85,
            Self::BadUserNameOrPassword => 0x86,
            Self::NotAuthorized => 0x87,
            Self::ServerUnavailable => 0x88,
            Self::ServerBusy => 0x89,
            Self::ServerShuttingDown => 0x8B,
            Self::BadAuthenticationMethod => 0x8C,
            Self::KeepAliveTimeout => 0x8D,
            Self::SessionTakenOver => 0x8E,
            Self::PacketIdNotFound => 0x92,
            Self::ReceiveMaximumExceeded => 0x93,
            Self::TopicAliasInvalid => 0x94,
            Self::PacketTooLarge => 0x95,
            Self::QuotaExceeded => 0x97,
            Self::PayloadFormatInvalid => 0x99,
        }
    }

    /// The return code of a 3.1.1 CONNACK (section 3.2.2.3 there).
    pub(super) const fn connack_v311(self) -> u8 {
        match self {
            Self::Success => 0x00,
            Self::UnsupportedProtocolVersion => 0x01,
            Self::ClientIdNotValid => 0x02,
            Self::BadUserNameOrPassword => 0x04,
            Self::NotAuthorized | Self::BadAuthenticationMethod => 0x05,
            Self::MalformedPacket
            | Self::ProtocolError
            | Self::ImplementationSpecificError
            | Self::ServerUnavailable
            | Self::ServerBusy
            | Self::ServerShuttingDown
            | Self::KeepAliveTimeout
            | Self::SessionTakenOver
            | Self::PacketIdNotFound
            | Self::ReceiveMaximumExceeded
            | Self::TopicAliasInvalid
            | Self::PacketTooLarge
            | Self::QuotaExceeded
            | Self::PayloadFormatInvalid => 0x03,
        }
    }
}
