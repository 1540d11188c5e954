//! The commands, one by one. What is not reading is refused in [`super::refuse`]'s words.

use arrow_flight::sql::{
    ActionBeginSavepointRequest, ActionBeginSavepointResult, ActionBeginTransactionRequest,
    ActionBeginTransactionResult, ActionCreatePreparedSubstraitPlanRequest, ActionEndSavepointRequest,
    ActionEndTransactionRequest, CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas,
    CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetSqlInfo,
    CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo, CommandPreparedStatementUpdate,
    CommandStatementIngest, CommandStatementSubstraitPlan, CommandStatementUpdate,
};

use super::{
    super::{
        catalog,
        surface::{CANCEL_FLIGHT_INFO, CLOSE_SESSION},
    },
    *,
};

/// Where a question about the catalogue is answered: by itself as ticket.
fn question<Q: ProstMessageExt>(
    query: &Q,
    answer: Result<RecordBatch, FlightError>,
    request: Request<FlightDescriptor>,
) -> Result<Response<FlightInfo>, Status> {
    let columns = answer.map_err(Status::from)?.schema();
    let ticket = query.as_any().encode_to_vec();
    info(&columns, ticket, request.into_inner()).map(Response::new)
}

#[async_trait]
impl FlightSqlService for Service {
    type FlightService = Self;

    async fn do_handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Handshake>, Status> {
        self.handshake_with(request).await
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        without_transaction(query.transaction_id.as_ref())?;
        let user = user(&request)?;
        let statement = numbered(&query.query).map_err(problem::invalid)?;
        let (columns, types) = self.describe(&user, &statement, &[]).await?;
        if !types.is_empty() {
            return Err(problem::invalid(format!(
                "the statement has {} parameters: prepare it, and give their values",
                types.len()
            )));
        }
        let ticket = self.ticket(&user, &statement, Vec::new())?;
        info(&columns, ticket, request.into_inner()).map(Response::new)
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        request: Request<Ticket>,
    ) -> Result<Response<DoGet>, Status> {
        let user = user(&request)?;
        let errand = self.seal.open(&ticket.statement_handle);
        let errand = errand.filter(|errand| errand.user == user.name).ok_or_else(|| {
            Status::permission_denied("the ticket was not given to this user by this server since its start")
        })?;
        self.run(&user, errand).await
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let user = user(&request)?;
        let prepared = self.statements.get(&user, &query.prepared_statement_handle)?;
        let columns = self.columns_of(&user, &prepared).await?;
        let ticket = self.ticket(&user, &prepared.statement, prepared.values)?;
        info(&columns, ticket, request.into_inner()).map(Response::new)
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<Ticket>,
    ) -> Result<Response<DoGet>, Status> {
        let user = user(&request)?;
        let prepared = self.statements.get(&user, &query.prepared_statement_handle)?;
        self.columns_of(&user, &prepared).await?;
        let errand = Errand::new(&user.name, &prepared.statement, prepared.values);
        self.run(&user, errand.map_err(problem::internal)?).await
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        without_transaction(query.transaction_id.as_ref())?;
        let user = user(&request)?;
        let statement = numbered(&query.query).map_err(problem::invalid)?;
        let (columns, types) = self.describe(&user, &statement, &[]).await?;
        let told = ActionCreatePreparedStatementResult {
            prepared_statement_handle: Bytes::new(),
            dataset_schema: encapsulated(&columns)?,
            parameter_schema: encapsulated(&parameters::schema(&types))?,
        };
        let prepared = Prepared {
            statement,
            types,
            columns,
            values: Vec::new(),
        };
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: self.statements.keep(&user, prepared, std::time::Instant::now())?,
            ..told
        })
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let user = user(&request)?;
        let read = tokio::time::timeout(START, parameters::read(request.into_inner())).await;
        let values = read.map_err(|_| problem::invalid("the parameters did not come in time"))??;
        let handle = query.prepared_statement_handle;
        self.statements.bind(&user, &handle, values)?;
        Ok(DoPutPreparedStatementResult {
            prepared_statement_handle: Some(handle),
        })
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<(), Status> {
        self.statements
            .close(&user(&request)?, &query.prepared_statement_handle);
        Ok(())
    }

    async fn do_action_cancel_query(
        &self,
        query: ActionCancelQueryRequest,
        request: Request<Action>,
    ) -> Result<ActionCancelQueryResult, Status> {
        let info = FlightInfo::decode(query.info).map_err(|error| problem::invalid(error.to_string()))?;
        // The numbers of its results are those of `CancelStatus`.
        let result = self.cancel(&user(&request)?, &info).into();
        Ok(ActionCancelQueryResult { result })
    }

    async fn do_action_fallback(&self, request: Request<Action>) -> Result<Response<Results>, Status> {
        let user = user(&request)?;
        match request.get_ref().r#type.as_str() {
            CANCEL_FLIGHT_INFO => {
                let asked = CancelFlightInfoRequest::decode(request.get_ref().body.clone())
                    .map_err(|error| problem::invalid(error.to_string()))?;
                let status = self.cancel(&user, &asked.info.unwrap_or_default()).into();
                Ok(result(CancelFlightInfoResult { status }.encode_to_vec()))
            }
            CLOSE_SESSION => {
                self.sessions.end(request.metadata());
                // CloseSessionResult with the status CLOSED (field 1, number 1).
                Ok(result(vec![0x08, 0x01]))
            }
            other => Err(Status::unimplemented(format!("there is no action {other:?}"))),
        }
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        question(&query, catalog::catalogs(query), request)
    }

    async fn do_get_catalogs(
        &self,
        query: CommandGetCatalogs,
        _request: Request<Ticket>,
    ) -> Result<Response<DoGet>, Status> {
        catalog::catalogs(query).map(answer).map_err(Status::from)
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        question(&query, catalog::schemas(query.clone()), request)
    }

    async fn do_get_schemas(
        &self,
        query: CommandGetDbSchemas,
        _request: Request<Ticket>,
    ) -> Result<Response<DoGet>, Status> {
        catalog::schemas(query).map(answer).map_err(Status::from)
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        question(&query, catalog::tables_of(query.clone()), request)
    }

    async fn do_get_tables(
        &self,
        query: CommandGetTables,
        _request: Request<Ticket>,
    ) -> Result<Response<DoGet>, Status> {
        catalog::tables_of(query).map(answer).map_err(Status::from)
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        question(&query, catalog::table_types(query), request)
    }

    async fn do_get_table_types(
        &self,
        query: CommandGetTableTypes,
        _request: Request<Ticket>,
    ) -> Result<Response<DoGet>, Status> {
        catalog::table_types(query).map(answer).map_err(Status::from)
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        question(&query, catalog::sql_info(query.clone()), request)
    }

    async fn do_get_sql_info(
        &self,
        query: CommandGetSqlInfo,
        _request: Request<Ticket>,
    ) -> Result<Response<DoGet>, Status> {
        catalog::sql_info(query).map(answer).map_err(Status::from)
    }

    async fn get_flight_info_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        question(&query, catalog::type_info(query), request)
    }

    async fn do_get_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        _request: Request<Ticket>,
    ) -> Result<Response<DoGet>, Status> {
        catalog::type_info(query).map(answer).map_err(Status::from)
    }

    async fn get_flight_info_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        question(&query, catalog::primary_keys(&query), request)
    }

    async fn do_get_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        _request: Request<Ticket>,
    ) -> Result<Response<DoGet>, Status> {
        catalog::primary_keys(&query).map(answer).map_err(Status::from)
    }

    async fn get_flight_info_exported_keys(
        &self,
        query: CommandGetExportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        question(&query, Ok(catalog::foreign_keys()), request)
    }

    async fn do_get_exported_keys(
        &self,
        _query: CommandGetExportedKeys,
        _request: Request<Ticket>,
    ) -> Result<Response<DoGet>, Status> {
        Ok(answer(catalog::foreign_keys()))
    }

    async fn get_flight_info_imported_keys(
        &self,
        query: CommandGetImportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        question(&query, Ok(catalog::foreign_keys()), request)
    }

    async fn do_get_imported_keys(
        &self,
        _query: CommandGetImportedKeys,
        _request: Request<Ticket>,
    ) -> Result<Response<DoGet>, Status> {
        Ok(answer(catalog::foreign_keys()))
    }

    async fn get_flight_info_cross_reference(
        &self,
        query: CommandGetCrossReference,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        question(&query, Ok(catalog::foreign_keys()), request)
    }

    async fn do_get_cross_reference(
        &self,
        _query: CommandGetCrossReference,
        _request: Request<Ticket>,
    ) -> Result<Response<DoGet>, Status> {
        Ok(answer(catalog::foreign_keys()))
    }

    async fn get_flight_info_substrait_plan(
        &self,
        _query: CommandStatementSubstraitPlan,
        _request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Err(refuse::substrait())
    }

    async fn do_put_substrait_plan(
        &self,
        _query: CommandStatementSubstraitPlan,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(refuse::substrait())
    }

    async fn do_action_create_prepared_substrait_plan(
        &self,
        _query: ActionCreatePreparedSubstraitPlanRequest,
        _request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        Err(refuse::substrait())
    }

    async fn do_action_begin_transaction(
        &self,
        _query: ActionBeginTransactionRequest,
        _request: Request<Action>,
    ) -> Result<ActionBeginTransactionResult, Status> {
        Err(refuse::transactions())
    }

    async fn do_action_end_transaction(
        &self,
        _query: ActionEndTransactionRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        Err(refuse::transactions())
    }

    async fn do_action_begin_savepoint(
        &self,
        _query: ActionBeginSavepointRequest,
        _request: Request<Action>,
    ) -> Result<ActionBeginSavepointResult, Status> {
        Err(refuse::transactions())
    }

    async fn do_action_end_savepoint(
        &self,
        _query: ActionEndSavepointRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        Err(refuse::transactions())
    }

    async fn do_put_statement_update(
        &self,
        query: CommandStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(refuse::update(&user(&request)?, &query.query))
    }

    async fn do_put_prepared_statement_update(
        &self,
        query: CommandPreparedStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        let user = user(&request)?;
        let prepared = self.statements.get(&user, &query.prepared_statement_handle)?;
        Err(refuse::update(&user, &prepared.statement))
    }

    async fn do_put_statement_ingest(
        &self,
        query: CommandStatementIngest,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(refuse::ingest(&user(&request)?, &query.table))
    }

    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}
}
