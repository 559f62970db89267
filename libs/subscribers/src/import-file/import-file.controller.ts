import { Readable } from 'node:stream';
import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { decodeId } from '#contracts';
import {
  numberedListCursor,
  type Page,
  type PageQuery,
  pageQuerySchema,
  pageSchema,
  Returns,
  StreamedBody,
  textSchema,
  Throws,
  toPage,
} from '#http';
import { CurrentEnvironment, type EnvironmentContext, RequireScope } from '#tenancy';
import { type Import, type ImportRejection, ImportStore } from '../import.store.js';
import { ImportFileInvalidError, ImportNotFoundError, ImportStoppedError } from '../subscribers.errors.js';
import { IMPORT_BODY_BYTES_MAX, IMPORT_COLUMNS_MAX } from '../subscribers.limits.js';
import { columnMappingSchema, delimiterSchema } from './import-options.js';
import { ImportFile } from './import-file.js';
import { importSchema, type ImportView, presentImport } from './import.resource.js';
import { withSpooledBody } from './spool-body.js';

const CSV = 'text/csv';

const importQuerySchema = z.strictObject({
  id_column: textSchema({ min: 1, max: 500 }).meta({ description: 'Header of the column with the external ids.' }),
  map: z
    .union([columnMappingSchema.transform((mapping) => [mapping]), z.array(columnMappingSchema).max(IMPORT_COLUMNS_MAX)])
    .default([])
    .meta({ description: 'Once per column: `Column=name`, `Column=name:type`, `Column=@locale`, or `Column=` to leave it out.' }),
  delimiter: delimiterSchema.default(','),
  types: z.enum(['inferred', 'declared']).default('inferred').meta({
    description: 'Type of columns that are neither mapped with a type nor declared: inferred from the whole file, or string.',
  }),
  blank: z.enum(['remove', 'keep']).default('remove').meta({
    description: 'What a blank cell does to a value that is there. It never writes an empty text or a zero.',
  }),
});

const rejectionSchema = z
  .object({
    line: z.int().min(1).meta({ description: 'Number of the line in the file, the header being line 1.' }),
    code: z.string(),
    reason: z.string(),
  })
  .meta({ id: 'ImportRejection' });

const cursors = numberedListCursor('import-rejections');
const listQuerySchema = pageQuerySchema(cursors);

/** Imports of CSV files. */
@ApiTags('Imports')
@Controller('v1/imports')
export class ImportFileController {
  constructor(
    private readonly importFile: ImportFile,
    private readonly store: ImportStore,
  ) {}

  @Post()
  @RequireScope('subscribers:write')
  @ApiOperation({
    summary: 'Import a CSV file',
    description:
      'An upsert of each line, in UTF-8 with a header. Every column but the id column becomes an attribute under its own name unless `map` ' +
      'says otherwise. Lines that do not fit are listed under /rejections; of several lines with one id the last wins. The answer comes when ' +
      'the file is imported.',
  })
  @ApiBody({ required: true, schema: { type: 'string', minLength: 1 } })
  @StreamedBody([CSV], IMPORT_BODY_BYTES_MAX)
  @Returns(201, importSchema, 'The file is imported; `rejected` counts the lines that are not.')
  @Throws(ImportFileInvalidError, ImportStoppedError)
  async create(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Query({ schema: importQuerySchema }) query: z.infer<typeof importQuerySchema>,
    @Body() body: Readable | undefined,
  ): Promise<ImportView> {
    const { id_column: idColumn, ...options } = query;
    const ended = await withSpooledBody(body ?? Readable.from([]), (source) =>
      this.importFile.run(environment.environmentId, source, { options: { idColumn, ...options } }),
    );
    return presentImport(ended);
  }

  @Get(':import_id')
  @RequireScope('subscribers:read')
  @ApiOperation({ summary: 'Get an import' })
  @Returns(200, importSchema, 'The import with its counts so far.')
  @Throws(ImportNotFoundError)
  async get(@CurrentEnvironment() environment: EnvironmentContext, @Param('import_id') importId: string): Promise<ImportView> {
    return presentImport(await this.find(environment, importId));
  }

  @Get(':import_id/rejections')
  @RequireScope('subscribers:read')
  @ApiOperation({ summary: 'List the rejected lines of an import' })
  @Returns(200, pageSchema(rejectionSchema, 'ImportRejectionPage'), 'Rejected lines in the order of the file.')
  @Throws(ImportNotFoundError)
  async listRejections(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Param('import_id') importId: string,
    @Query({ schema: listQuerySchema }) query: PageQuery,
  ): Promise<Page<ImportRejection>> {
    const { id } = await this.find(environment, importId);
    const afterLine = cursors.decode(query.cursor) ?? 0;
    const rows = await this.store.listRejections(environment.environmentId, id, { afterLine, limit: query.limit + 1 });
    return toPage(
      rows,
      query.limit,
      (row) => row,
      (row) => cursors.encode(row.line),
    );
  }

  private async find(environment: EnvironmentContext, publicId: string): Promise<Import> {
    const id = decodeId('import', publicId);
    const found = id === undefined ? undefined : await this.store.find(environment.environmentId, id);
    if (found === undefined) throw new ImportNotFoundError();
    return found;
  }
}
