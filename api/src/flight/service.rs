//! What Flight SQL's commands do. Each call's user is in its request already: [`super::surface`] has asked who it is.

use std::sync::Arc;

use arrow::{array::RecordBatch, datatypes::Schema, ipc::writer::IpcWriteOptions};
use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightDescriptor, FlightEndpoint,
    FlightInfo, HandshakeRequest, HandshakeResponse, IpcMessage, SchemaAsIpc, Ticket,
    encode::FlightDataEncoderBuilder,
    error::FlightError,
    flight_service_server::FlightService,
    sql::{
        ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
        ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, Command,
        CommandPreparedStatementQuery, CommandStatementQuery, DoPutPreparedStatementResult, ProstMessageExt,
        SqlInfo, TicketStatementQuery,
        server::{FlightSqlService, PeekableFlightDataStream},
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use gridtally_schemas::Clock;
use prost::Message;
use tonic::{Request, Response, Status, Streaming, metadata::MetadataValue};

use super::{
    START, parameters,
    prepared::{Prepared, Statements},
    problem,
    question::numbered,
    rows::Rows,
    running::Running,
    session::{Sessions, User},
    ticket::{Errand, Seal},
};
use crate::sql::{Audit, Given, Parameter, Sql, postgres::types::UNSPECIFIED};

mod ask;
mod refuse;

/// The service behind the surface.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) sql: Sql,
    pub(super) sessions: Sessions,
    /// By which the network stands that an area is told from.
    pub(super) clock: Clock,
    pub(super) seal: Seal,
    pub(super) statements: Statements,
    pub(super) running: Arc<Running>,
}

type DoGet = <Service as FlightService>::DoGetStream;
type Handshake = <Service as FlightService>::HandshakeStream;
type Results = <Service as FlightService>::DoActionStream;

/// The user of a call.
pub(super) fn user<T>(request: &Request<T>) -> Result<User, Status> {
    let user = request.extensions().get::<User>();
    user.cloned()
        .ok_or_else(|| problem::internal("a call came in without its user"))
}

/// Where an answer is fetched: here, by this ticket.
fn info(
    columns: &Schema,
    ticket: impl Into<Bytes>,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    let endpoint = FlightEndpoint::new().with_ticket(Ticket {
        ticket: ticket.into(),
    });
    Ok(FlightInfo::new()
        .try_with_schema(columns)
        .map_err(problem::internal)?
        .with_endpoint(endpoint)
        .with_descriptor(descriptor))
}

/// An answer that is there already.
fn answer(batch: RecordBatch) -> Response<DoGet> {
    let messages = FlightDataEncoderBuilder::new()
        .with_schema(batch.schema())
        .build(stream::iter([Ok::<_, FlightError>(batch)]))
        .map_err(Status::from);
    Response::new(Box::pin(messages))
}

/// A schema as messages of Flight SQL carry one.
fn encapsulated(columns: &Schema) -> Result<Bytes, Status> {
    let options = IpcWriteOptions::default();
    let message = IpcMessage::try_from(SchemaAsIpc::new(columns, &options)).map_err(problem::internal)?;
    Ok(message.0)
}

impl Service {
    /// What a statement's columns are, and of which types its parameters; `given`: as far as that is known already.
    async fn describe(
        &self,
        user: &User,
        statement: &str,
        given: &[Parameter],
    ) -> Result<(arrow::datatypes::SchemaRef, Vec<u32>), Status> {
        let later = given.iter().map(|parameter| Parameter {
            oid: parameter.oid,
            value: Given::Later,
        });
        let sql = self.sql_of(user)?;
        let described = async {
            let mut answer = sql.describe(statement, later.collect()).await?;
            let columns = answer.schema().await?;
            Ok((columns, answer.parameters().to_vec()))
        };
        described.await.map_err(|error| {
            // It will not run: this is all that is told of it.
            Audit::new("flight", &user.name, statement).failed(&error);
            problem::of_sql(&error)
        })
    }

    /// The ticket of a statement.
    fn ticket(&self, user: &User, statement: &str, values: Vec<Parameter>) -> Result<Vec<u8>, Status> {
        let errand = Errand::new(&user.name, statement, values).map_err(problem::internal)?;
        let statement_handle = self.seal.close(&errand).map_err(problem::invalid)?;
        Ok(TicketStatementQuery { statement_handle }.as_any().encode_to_vec())
    }

    /// What a user asks by: within its roles and its area.
    fn sql_of(&self, user: &User) -> Result<Sql, Status> {
        let sql = self.sql.on_behalf_of(&user.caller, &self.clock);
        sql.map_err(|no_role| Status::permission_denied(no_role.to_string()))
    }

    async fn run(&self, user: &User, errand: Errand) -> Result<Response<DoGet>, Status> {
        let sql = self.sql_of(user)?;
        let entered = self.running.enter(&errand);
        let rows = Rows::start(&sql, errand, entered).await?;
        Ok(Response::new(Box::pin(rows.stream())))
    }

    /// The columns of a prepared statement with the values that it has.
    async fn columns_of(
        &self,
        user: &User,
        prepared: &Prepared,
    ) -> Result<arrow::datatypes::SchemaRef, Status> {
        let needed = prepared.types.len();
        if prepared.values.len() != needed {
            return Err(problem::invalid(format!(
                "the statement has {needed} parameters, and no values were given"
            )));
        }
        let as_told = prepared
            .values
            .iter()
            .zip(&prepared.types)
            .all(|(value, told)| value.oid == *told);
        if as_told {
            return Ok(Arc::clone(&prepared.columns));
        }
        let typed: Vec<Parameter> = prepared
            .values
            .iter()
            .zip(&prepared.types)
            .map(|(value, told)| Parameter {
                oid: if value.oid == UNSPECIFIED {
                    *told
                } else {
                    value.oid
                },
                value: Given::Later,
            })
            .collect();
        Ok(self.describe(user, &prepared.statement, &typed).await?.0)
    }

    /// Ends the statement of a ticket in an answer to `GetFlightInfo`; only that of the same user.
    fn cancel(&self, user: &User, info: &FlightInfo) -> CancelStatus {
        let ended = info.endpoint.iter().any(|endpoint| {
            let ticket = endpoint.ticket.as_ref().map(|ticket| &ticket.ticket);
            let errand = ticket.and_then(|ticket| self.errand(user, ticket));
            errand.is_some_and(|errand| self.running.cancel(&errand))
        });
        if ended {
            CancelStatus::Cancelled
        } else {
            CancelStatus::NotCancellable
        }
    }

    /// What a ticket as a client has it runs, if it is this user's.
    fn errand(&self, user: &User, ticket: &[u8]) -> Option<Errand> {
        let any = Any::decode(ticket).ok()?;
        if let Ok(Command::TicketStatementQuery(query)) = Command::try_from(any) {
            let errand = self.seal.open(&query.statement_handle)?;
            return (errand.user == user.name).then_some(errand);
        }
        None
    }

    async fn handshake_with(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Handshake>, Status> {
        let (metadata, _, mut messages) = request.into_parts();
        let said = async move {
            let first = tokio::time::timeout(START, messages.message()).await;
            Some(first.ok()?.ok()??.payload.to_vec())
        };
        let token = self.sessions.begin(&metadata, said).await?;
        let header = MetadataValue::try_from(format!("Bearer {token}")).map_err(problem::internal)?;
        let said = HandshakeResponse {
            protocol_version: 0,
            payload: token.into(),
        };
        let output: Handshake = Box::pin(stream::iter([Ok(said)]));
        let mut response = Response::new(output);
        response.metadata_mut().insert("authorization", header);
        Ok(response)
    }
}

/// One result of an action.
pub(super) fn result(body: impl Into<Bytes>) -> Response<Results> {
    let result = arrow_flight::Result { body: body.into() };
    Response::new(Box::pin(stream::iter([Ok(result)])))
}

/// No transaction is open here that a statement could be of.
fn without_transaction(id: Option<&Bytes>) -> Result<(), Status> {
    match id {
        Some(id) if !id.is_empty() => Err(refuse::transactions()),
        Some(_) | None => Ok(()),
    }
}
